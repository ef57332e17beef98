"""`streamproc models import`: from a model made elsewhere to a member that a worker serves."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from streamproc.errors import ModelRefused, OperatorError, SettingsError
from streamproc.messages.request import ENSEMBLE_NAME
from streamproc.offline.importing.checks import (
    check_before_export,
    require_flags_of,
    require_free_place,
)
from streamproc.offline.importing.configuration import Configuration
from streamproc.offline.importing.heads import require_classes
from streamproc.offline.importing.import_options import ImportOptions
from streamproc.offline.importing.import_source import AdaptedModel, ImportSource
from streamproc.offline.importing.installing import NewMember, place_beside, place_new
from streamproc.offline.importing.keras import convert
from streamproc.offline.importing.labels import label_outputs
from streamproc.offline.importing.manifests import new_ensemble, provenance
from streamproc.offline.importing.marian import has_marian_tokenizer, marian_tokenizer
from streamproc.offline.importing.prompter import Prompter
from streamproc.offline.importing.scoring import prepare_scoring
from streamproc.offline.importing.sources import MODEL, Source, find_source
from streamproc.offline.importing.tokenizers import read_tokenizer, require_same
from streamproc.offline.importing.writing import prepare_writing
from streamproc.repository.changes import Verify
from streamproc.repository.manifest import MemberSection
from streamproc.repository.repository import MANIFEST, Repository, StoredEnsemble
from streamproc.serving.tasks.catalogue import TASKS, task_named
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.task import ScoringTask, Task

# In what folders have a tokenizer that is no tokenizer.json.
_OLDER_TOKENIZERS = (
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "tokenizer.model",
)

Export = Callable[[Path, str, Path], None]
"""Export a Hugging Face folder, for a task, into another folder, as optimum does it."""


MakeTokenizer = Callable[[Path], bytes]
"""A tokenizer.json of a Hugging Face folder's older files; raises OperatorError."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of it.

    new: whether an ensemble was made for it
    used: whether the manifest names this version; replaced: the one it named before, if any
    files: their sizes in bytes, by their place in the ensemble's folder
    labels, changes, warnings, batch_difference: as `AdaptedModel` has them
    """

    manifest: Path
    ensemble: str
    task: str
    new: bool
    member: str
    version: str
    used: bool
    replaced: str | None
    files: dict[str, int]
    precision: str
    labels: tuple[str, ...]
    changes: Sequence[str]
    warnings: Sequence[str]
    batch_difference: float | None


def import_model(
    wishes: ImportOptions,
    questions: Prompter,
    *,
    export: Export,
    verify: Verify,
    make_tokenizer: MakeTokenizer | None = None,
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
    require_free_place(name, wishes, stored)
    task = _task(wishes, configuration, stored, questions)
    if task.labelled:
        require_classes(configuration, wishes.scores)
    tokenizer = _tokenizer(source, wishes, configuration, stored, questions, make_tokenizer)
    require_flags_of(task, wishes, tokenizer, configuration)
    labels = None
    if source.form == "hugging-face":
        check_before_export(source, task, wishes, configuration, tokenizer, stored)
        labels = _labels_of(configuration, task, wishes, stored, questions)
    with tempfile.TemporaryDirectory() as folder:
        exported = _exported(source, task, Path(folder), export)
        subject = ImportSource(
            exported, name, wishes, configuration, tokenizer, stored, questions, labels
        )
        prepared = _prepared(subject, task)
    before = {member.name: member for member in stored.manifest.members} if stored else {}
    replaced = before.get(name)
    member = NewMember(
        name,
        wishes.version,
        prepared.model,
        prepared.decoder,
        prepared.precision,
        prepared.labels,
        provenance(subject, source, prepared),
        # A new version has the say that the one before it had.
        replaced.weight if replaced else 1.0,
    )
    if stored:
        manifest = place_beside(stored, member, verify, use=wishes.use)
    else:
        ensemble = new_ensemble(subject, task.name, prepared, member.section)
        manifest = place_new(wishes.out, ensemble, tokenizer, member, verify)
    return Imported(
        manifest,
        wishes.ensemble,
        task.name,
        stored is None,
        name,
        wishes.version,
        wishes.use,
        replaced.version if replaced and wishes.use else None,
        {place_in: len(content) for place_in, content in member.files.items()},
        prepared.precision,
        prepared.labels,
        prepared.changes,
        [*prepared.warnings, *_fitted_before(stored, replaced)],
        prepared.batch_difference,
    )


def _fitted_before(stored: StoredEnsemble | None, replaced: MemberSection | None) -> Sequence[str]:
    """What is told where a version takes the place of one that the ensemble was fitted with."""
    if stored is None or replaced is None:
        return ()
    manifest = stored.manifest
    if not (manifest.gate or manifest.combine.temperature != 1 or replaced.weight != 1):
        return ()
    told = (
        f"weights, gate and temperature of {manifest.name} were fitted with {replaced.name} "
        f"{replaced.version}: streamproc fit-ensemble {manifest.name} fits them anew"
    )
    return (told,)


def _labels_of(
    configuration: Configuration,
    task: Task,
    wishes: ImportOptions,
    stored: StoredEnsemble | None,
    questions: Prompter,
) -> tuple[str, ...] | None:
    """The outputs' labels, where config.json says how many there are, or the task has none."""
    if not task.labelled:
        return None
    outputs = 2 if configuration.outputs == 1 else configuration.outputs
    if outputs is None:
        return None
    known = stored.manifest.labels if stored else ()
    return label_outputs(outputs, configuration, wishes.labels, known, questions)


def _prepared(subject: ImportSource, task: Task) -> AdaptedModel:
    if isinstance(task, DecodingTask):
        return prepare_writing(subject, task)
    if isinstance(task, ScoringTask):
        return prepare_scoring(subject, task)
    raise ModelRefused(f"{task.name} has no way to run its members")


def _stored(wishes: ImportOptions) -> StoredEnsemble | None:
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
    wishes: ImportOptions,
    configuration: Configuration,
    stored: StoredEnsemble | None,
    questions: Prompter,
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
    source: Source,
    wishes: ImportOptions,
    configuration: Configuration,
    stored: StoredEnsemble | None,
    questions: Prompter,
    make_tokenizer: MakeTokenizer | None,
) -> bytes:
    path = wishes.tokenizer or configuration.tokenizer
    own = read_tokenizer(path) if path else None
    if own is None and source.folder:
        path, own = source.folder, _made_tokenizer(source.folder, make_tokenizer)
    if stored:
        if own and path:
            require_same(own, path, stored)
        return stored.tokenizer()
    if own is None:
        question = "Where is the tokenizer.json that the model's token ids are of?"
        own = read_tokenizer(Path(questions.ask(question, "--tokenizer FILE")))
    return own


def _made_tokenizer(folder: Path, make: MakeTokenizer | None) -> bytes | None:
    """A tokenizer.json of other files, if the folder has such."""
    if has_marian_tokenizer(folder):
        return marian_tokenizer(folder)
    older = sorted(name for name in _OLDER_TOKENIZERS if (folder / name).is_file())
    if not older or make is None:
        return None
    try:
        return make(folder)
    except OperatorError as error:
        raise ModelRefused(
            f"{error}. It has {', '.join(older)}: make one where transformers and sentencepiece "
            'are (AutoTokenizer.from_pretrained("FOLDER").save_pretrained("FOLDER")), or name '
            "another (--tokenizer FILE)"
        ) from error


def _exported(source: Source, task: Task, folder: Path, export: Export) -> Source:
    if source.form == "onnx":
        return source
    if source.form == "hugging-face":
        export(source.path, task.name, folder)
        made = find_source(folder)
        return replace(source, model=made.model, decoder=made.decoder)
    convert(source, folder / MODEL)
    return replace(source, model=folder / MODEL)
