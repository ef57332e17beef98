"""`streamproc models import`: from a model made elsewhere to a member that a worker serves."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from streamproc.errors import ModelRefused, SettingsError
from streamproc.importing.configuration import Configuration
from streamproc.importing.keras import convert
from streamproc.importing.manifests import new_ensemble, provenance
from streamproc.importing.placing import NewMember, Verify, place
from streamproc.importing.questions import Questions
from streamproc.importing.scoring import prepare_scoring
from streamproc.importing.sources import MODEL, Source, find_source
from streamproc.importing.subject import Prepared, Subject
from streamproc.importing.tokenizers import read_tokenizer, require_same
from streamproc.importing.wishes import Wishes
from streamproc.importing.writing import prepare_writing
from streamproc.messages.request import ENSEMBLE_NAME
from streamproc.repository.repository import MANIFEST, Repository, StoredEnsemble
from streamproc.tasks.catalogue import TASKS, task_named
from streamproc.tasks.decoding_task import DecodingTask
from streamproc.tasks.task import ScoringTask, Task

Export = Callable[[Path, str, Path], None]
"""Export a Hugging Face folder, for a task, into another folder, as optimum does it."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of it.

    new: whether an ensemble was made for it
    files: their sizes in bytes, by their place in the ensemble's folder
    labels, changes, warnings, batch_difference: as `Prepared` has them
    """

    manifest: Path
    ensemble: str
    task: str
    new: bool
    member: str
    version: str
    files: dict[str, int]
    precision: str
    labels: tuple[str, ...]
    changes: Sequence[str]
    warnings: Sequence[str]
    batch_difference: float | None


def import_model(
    wishes: Wishes, questions: Questions, *, export: Export, verify: Verify
) -> Imported:
    """Make a member of a model, and put it into an ensemble, new or there already.

    Nothing is written before the member was tried out as a worker does it. Asks for what neither
    the wishes nor the model tell. Raises ModelRefused, SettingsError.
    """
    source = find_source(wishes.source)
    name = wishes.member or source.name
    for flag, chosen in (("--ensemble", wishes.ensemble), ("--member", name)):
        if not re.match(ENSEMBLE_NAME, chosen):
            raise SettingsError(
                f"{flag} {chosen!r}: a name is up to 64 of a-z, 0-9, '.', '_' and '-', a letter "
                "or digit first"
            )
    configuration = Configuration(source.folder)
    stored = _stored(wishes)
    task = _task(wishes, configuration, stored, questions)
    tokenizer = _tokenizer(wishes, configuration, stored, questions)
    with tempfile.TemporaryDirectory() as folder:
        exported = _exported(source, task, Path(folder), export)
        subject = Subject(exported, name, wishes, configuration, tokenizer, stored, questions)
        prepared = _prepared(subject, task)
    member = NewMember(
        name,
        wishes.version,
        prepared.model,
        prepared.decoder,
        prepared.precision,
        prepared.labels,
        provenance(subject, source, prepared),
    )
    ensemble = stored or new_ensemble(subject, task.name, prepared, member.section)
    return Imported(
        place(wishes.out, ensemble, tokenizer, member, verify),
        wishes.ensemble,
        task.name,
        stored is None,
        name,
        wishes.version,
        {place_in: len(content) for place_in, content in member.files.items()},
        prepared.precision,
        prepared.labels,
        prepared.changes,
        prepared.warnings,
        prepared.batch_difference,
    )


def _prepared(subject: Subject, task: Task) -> Prepared:
    if isinstance(task, DecodingTask):
        return prepare_writing(subject, task)
    if isinstance(task, ScoringTask):
        return prepare_scoring(subject, task)
    raise ModelRefused(f"{task.name} has no way to run its members")


def _stored(wishes: Wishes) -> StoredEnsemble | None:
    folder = wishes.out / wishes.ensemble
    if not (folder / MANIFEST).is_file():
        if folder.exists():
            raise ModelRefused(f"{folder} is there, without a {MANIFEST}; name another --ensemble")
        return None
    stored = Repository(wishes.out).open(wishes.ensemble)
    manifest = stored.manifest
    if manifest.prefix:
        raise ModelRefused(
            f"members of {manifest.name} stand behind a prefix that was trained with them; name "
            "another --ensemble"
        )
    if wishes.window is not None or wishes.overlap is not None:
        raise SettingsError(f"--window, --overlap: {manifest.name} is there, and has its own")
    if wishes.description:
        raise SettingsError(f"--description: {manifest.name} is there, and has its own")
    return stored


def _task(
    wishes: Wishes,
    configuration: Configuration,
    stored: StoredEnsemble | None,
    questions: Questions,
) -> Task:
    said = wishes.task or (stored.manifest.task if stored else configuration.task)
    if said and said.startswith("translation_"):
        # One of those that config.json has settings for, as translation_en_to_de.
        said = "translation"
    task = task_named(said or questions.ask(f"What is it for: {', '.join(TASKS)}?", "--task TASK"))
    if stored and stored.manifest.task != task.name:
        raise ModelRefused(
            f"the ensemble {stored.manifest.name} is for {stored.manifest.task}, not {task.name}; "
            "name another --ensemble"
        )
    return task


def _tokenizer(
    wishes: Wishes,
    configuration: Configuration,
    stored: StoredEnsemble | None,
    questions: Questions,
) -> bytes:
    path = wishes.tokenizer or configuration.tokenizer
    if stored:
        if path:
            require_same(read_tokenizer(path), path, stored)
        return stored.tokenizer()
    if path is None:
        question = "Where is the tokenizer.json that the model's token ids are of?"
        path = Path(questions.ask(question, "--tokenizer FILE"))
    return read_tokenizer(path)


def _exported(source: Source, task: Task, folder: Path, export: Export) -> Source:
    if source.form == "onnx":
        return source
    if source.form == "hugging-face":
        export(source.path, task.name, folder)
        made = find_source(folder)
        return replace(source, model=made.model, decoder=made.decoder)
    convert(source, folder / MODEL)
    return replace(source, model=folder / MODEL)
