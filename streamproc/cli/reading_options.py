"""What the command line says about files that `run` and `submit` read."""

from __future__ import annotations

from collections.abc import Sequence

from streamproc.errors import SettingsError
from streamproc.messages.request import RequestFields
from streamproc.offline.bulk.input_rows import ReadingOptions
from streamproc.offline.documents.formats import Format
from streamproc.serving.tasks.task import Task


def reading_options(
    task: Task,
    form: Format | None,
    encoding: str | None,
    text_column: str | None,
    id_column: str | None,
    mapped: Sequence[str] | None,
) -> ReadingOptions:
    """The options together; raises SettingsError for a field that requests of the task lack."""
    columns: dict[str, str] = {}
    fields = [*task.inputs.model_fields, *RequestFields.model_fields]
    named = [("--text-column", "text", text_column), ("--id-column", "id", id_column)]
    given = [(option, field, column) for option, field, column in named if column is not None]
    for written in mapped or ():
        field, _, column = written.partition("=")
        given.append((f"--map {written!r}", field, column))
    for option, field, column in given:
        if not column:
            raise SettingsError(f"{option}: no column is named; --map text=review is an example")
        if field not in fields:
            raise SettingsError(
                f"{option}: requests of {task.name} have no field {field!r}; they have "
                f"{', '.join(fields)}"
            )
        if columns.setdefault(field, column) != column:
            raise SettingsError(f"{option}: the field {field!r} has a column already")
    return ReadingOptions(form, encoding, columns)
