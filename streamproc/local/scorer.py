"""`streamproc.Scorer`: batches in, the same batches with answers out, wherever they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from streamproc.did_you_mean import there_are
from streamproc.errors import Invalid, SettingsError
from streamproc.local.answer_columns import (
    DEFAULT_COLUMNS,
    column_types,
    column_value,
    require_any,
)
from streamproc.local.batches import column_names, column_values, with_columns
from streamproc.local.blocking_client import Asked, refusal
from streamproc.local.loaded_models import LOADED
from streamproc.local.open_ensemble import Ensemble, folder_of
from streamproc.messages.client import ResponseBody
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.task import validated
from streamproc.settings import Settings, read_settings

if TYPE_CHECKING:
    import pyarrow

ERROR = "error"


class Scorer:
    """Adds the answers of an ensemble to a table, or to batches on somebody else's cluster.

    It is pickled as what it was made with, and loads its models in the process that first calls it,
    once per process. For Ray's `map_batches` (as an instance, and as a class), Spark's
    `mapInArrow`, `datasets.map(batched=True)` and the like. Answers are those of `streamproc run`.
    """

    def __init__(
        self,
        ensemble: Ensemble | None = None,
        task: str = "text-classification",
        *,
        columns: Mapping[str, str] | None = None,
        keep: Sequence[str] | None = None,
        prefix: str = "",
        settings: Settings | None = None,
        **params: Any,
    ) -> None:
        """
        ensemble: its name in the folder of models of whoever calls it, or the path of its folder;
            None: the one that the task's topics name
        columns:  the column of each field that the task takes, where it is called otherwise, such
            as {"text": "review"}
        keep:     what is kept of an answer, a column each: fields of its `result`, `agreement`,
            `entropy`, `status`, and `response`, which is all of it in JSON
        prefix:   put before the names of the columns that are added
        settings: default: STREAMPROC_* where it is called; no password goes with them
        params:   of the task, as in a request
        Raises SettingsError, and Invalid naming the parameter that is wrong.
        """
        self.ensemble = ensemble if ensemble is None else folder_of(ensemble) or ensemble
        self.task, self._params = task, params
        self._settings = None if settings is None else _carried(settings)
        asked = task_named(task)
        validated(asked.params, params, "params")
        inputs = asked.inputs.model_fields
        self._columns = {name: name for name in inputs} | dict(columns or {})
        for name in self._columns:
            if name not in inputs:
                raise SettingsError(f"columns: no field {name!r}; {there_are(name, list(inputs))}")
        types = column_types(task, params)
        kept = DEFAULT_COLUMNS[task] if keep is None else tuple(keep)
        for name in kept:
            if name not in types:
                raise SettingsError(f"keep: no field {name!r}; {there_are(name, list(types))}")
        self._kept = {name: types[name] for name in kept}
        self._prefix = prefix

    @overload
    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]: ...
    @overload
    def __call__(self, batch: Iterator[Any]) -> Iterator[Any]: ...
    @overload
    def __call__(self, batch: pyarrow.Table) -> pyarrow.Table: ...
    def __call__(self, batch: Any) -> Any:
        """The batch with a column for each field that is kept, and `error`.

        batch: a dict of arrays or of lists, a pyarrow Table or RecordBatch, or a pandas DataFrame;
            of an iterator of these an iterator is made
        returns: the same kind. A row that can't be answered says why in `error` and has nothing
            (None, NaN) in the other columns; in all others `error` is empty
        Raises SettingsError where a column is lacking or there already, OperatorError where the
        ensemble can't be loaded, and WorkerFault when its models can't run.
        """
        if isinstance(batch, Iterator):
            return map(self, batch)
        self._check(column_names(batch))
        values = [column_values(batch, name) for name in self._columns.values()]
        rows = [dict(zip(self._columns, row, strict=True)) for row in zip(*values, strict=True)]
        answered = self._answer(rows)
        for response in answered:
            require_any(self._kept, response)
        added = {
            self._prefix + name: (kind, [column_value(name, response) for response in answered])
            for name, kind in self._kept.items()
        }
        added[self._prefix + ERROR] = "string", [_error(response) for response in answered]
        return with_columns(batch, added, like=next(iter(self._columns.values())))

    def schema(self, of: pyarrow.Schema) -> pyarrow.Schema:
        """The schema of what is made of Arrow batches of that schema, as Spark wants to know it."""
        import pyarrow  # noqa: PLC0415 - an extra

        from streamproc.local.arrow_types import arrow_type  # noqa: PLC0415 - the extra

        self._check(of.names)
        for name, kind in {**self._kept, ERROR: "string"}.items():
            of = of.append(pyarrow.field(self._prefix + name, arrow_type(kind)))
        return of

    def close(self) -> None:
        """Let the models go that this process has loaded for it; a call would load them again."""
        LOADED.close(self._settings or read_settings(), self.task, self.ensemble)

    def __repr__(self) -> str:
        return f"<streamproc.Scorer {self.task!r} of ensemble {str(self.ensemble)!r}>"

    def _check(self, names: Sequence[str]) -> None:
        for name, column in self._columns.items():
            if column not in names:
                raise SettingsError(
                    f"the batch has no column {column!r}; {there_are(column, names)} "
                    f"(columns={{{name!r}: ...}} says which)"
                )
        for name in (*self._kept, ERROR):
            if self._prefix + name in names:
                raise SettingsError(
                    f"the batch has a column {self._prefix + name!r} already; prefix='...' names "
                    "those that are added otherwise"
                )

    def _answer(self, rows: Sequence[dict[str, Any]]) -> list[ResponseBody]:
        if not rows:
            return []
        client = LOADED.client(self._settings or read_settings(), self.task, self.ensemble)
        refused: dict[int, ResponseBody] = {}

        def requests_of(place: int) -> list[Asked]:
            try:
                return [Asked.of({**rows[place], "params": self._params})]
            except Invalid as reason:  # it can't even be written down
                refused[place] = refusal(self.task, reason)
                return []

        answered = client.ask_each(range(len(rows)), requests_of)
        return [responses[0] if responses else refused[place] for place, responses in answered]


def _carried(settings: Settings) -> Settings:
    """What of the settings may go to another process, which runs in another folder."""
    return settings.without_passwords().model_copy(
        update={
            "models_dir": settings.models_dir.absolute(),
            "topics_dir": settings.topics_dir.absolute(),
        }
    )


def _error(response: ResponseBody) -> str:
    error = response.get("error")
    return f"{error['title']}: {error['detail']}" if error else ""
