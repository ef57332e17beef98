"""`streamproc models import`: from a model made elsewhere to a member that a worker serves."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from streamproc.errors import ModelRefused, SettingsError
from streamproc.messages.request import ENSEMBLE_NAME
from streamproc.offline.importing.checks import (
    check_before_export,
    require_flags_of,
    require_free_place,
)
from streamproc.offline.importing.generative import prepare_generative
from streamproc.offline.importing.hf_config import HfConfig
from streamproc.offline.importing.import_options import ImportOptions, Prompter
from streamproc.offline.importing.import_source import AdaptedModel, ImportSource
from streamproc.offline.importing.installing import install_beside, install_new
from streamproc.offline.importing.keras import convert
from streamproc.offline.importing.label_mapping import label_outputs
from streamproc.offline.importing.model_files import MODEL, ModelFiles, find_model_files
from streamproc.offline.importing.problem_types import problem_type_said
from streamproc.offline.importing.scoring import prepare_scoring
from streamproc.offline.importing.tokenizers import MakeTokenizer, find_tokenizer
from streamproc.repository.changes import Verify
from streamproc.repository.manifest import ConfidenceSection
from streamproc.repository.repository import MANIFEST, Repository, StoredEnsemble
from streamproc.repository.versioned_name import VERSIONED_NAME
from streamproc.serving.tasks.catalogue import TASKS, task_named
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.task import ScoringTask, Task
from streamproc.types import ProblemType

Export = Callable[[Path, str, Path], None]
"""Export a Hugging Face folder, for a task, into another folder, as optimum does it."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of it.

    new: whether an ensemble was made for it
    used: whether the manifest names this version; replaced: the one it named before, if any
    files: their sizes in bytes, by their place in the ensemble's folder
    problem_type, labels, changes, warnings, batch_difference: as `AdaptedModel` has them
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
    problem_type: ProblemType
    labels: tuple[str, ...]
    changes: Sequence[str]
    warnings: Sequence[str]
    batch_difference: float | None


def import_model(
    options: ImportOptions,
    prompter: Prompter,
    *,
    export: Export,
    verify: Verify,
    make_tokenizer: MakeTokenizer | None = None,
) -> Imported:
    """Make a member of a model, and put it into an ensemble, new or there already.

    Nothing is written before the member was tried out as a worker does it. Asks for what neither
    the options nor the model tell. Raises ModelRefused, SettingsError.
    """
    source = _source(options, prompter)
    require_free_place(source)
    task = _task(source)
    source = replace(source, problem_type=problem_type_said(source, task))
    source = replace(source, tokenizer=find_tokenizer(source, make_tokenizer))
    require_flags_of(task, source)
    if source.files.format == "hugging-face":
        check_before_export(source, task)
        source = replace(source, labels=_labels_before_export(source, task))
    with tempfile.TemporaryDirectory() as folder:
        files = _exported(source.files, task, Path(folder), export)
        adapted = _adapted(replace(source, files=files), task)
    if source.stored:
        member = install_beside(source.stored, source, adapted, verify)
    else:
        member = install_new(source, task.name, adapted, verify)
    replaced = source.replaced
    place = Repository(options.out).folder(options.ensemble)
    return Imported(
        manifest=place / MANIFEST,
        ensemble=options.ensemble,
        task=task.name,
        new=source.stored is None,
        member=member.name,
        version=member.version,
        used=options.use,
        replaced=replaced.version if replaced and options.use else None,
        files={file: (place / file).stat().st_size for file, _ in member.files},
        precision=member.precision,
        problem_type=adapted.problem_type,
        labels=member.labels,
        changes=adapted.changes,
        warnings=[*adapted.warnings, *_fitted_before(source)],
        batch_difference=adapted.batch_difference,
    )


def _source(options: ImportOptions, prompter: Prompter) -> ImportSource:
    """What is at the path, and the ensemble it joins; raises ModelRefused, SettingsError."""
    files = find_model_files(options.source)
    version = "; a version of an ensemble may follow it, as in sentiment@2"
    names = (
        ("--ensemble", options.ensemble, VERSIONED_NAME, version),
        ("--member", options.member or files.name, ENSEMBLE_NAME, ""),
    )
    for flag, name, pattern, more in names:
        if not re.fullmatch(pattern, name):
            raise SettingsError(
                f"{flag} {name!r}: a name is up to 64 of a-z, 0-9, '.', '_' and '-', a letter "
                f"or digit first{more}"
            )
    return ImportSource(files, options, HfConfig(files.folder), _stored(options), prompter)


def _fitted_before(source: ImportSource) -> Sequence[str]:
    """What is told where a version takes the place of one that the ensemble was fitted with."""
    replaced = source.replaced
    if source.stored is None or replaced is None:
        return ()
    manifest, ensemble = source.stored.manifest, source.stored.name
    is_calibrated = manifest.combine.temperature != 1 or manifest.confidence != ConfidenceSection()
    if not (manifest.gate or is_calibrated or replaced.weight != 1):
        return ()
    told = (
        f"weights, gate and calibration of {ensemble} were fitted with {replaced.name} "
        f"{replaced.version}: streamproc fit-ensemble {ensemble} fits them anew"
    )
    return (told,)


def _labels_before_export(source: ImportSource, task: Task) -> tuple[str, ...] | None:
    """The outputs' labels, where config.json says how many there are, or the task has none."""
    outputs = source.config.outputs
    if not task.labelled or outputs is None:
        return None
    kind = source.problem_type or "single_label_classification"
    two_of_one = outputs == 1 and kind == "single_label_classification"
    return label_outputs(2 if two_of_one else outputs, kind, source)


def _adapted(source: ImportSource, task: Task) -> AdaptedModel:
    if isinstance(task, DecodingTask):
        return prepare_generative(source, task)
    if isinstance(task, ScoringTask):
        return prepare_scoring(source, task)
    raise ModelRefused(f"{task.name} has no way to run its members")


def _stored(options: ImportOptions) -> StoredEnsemble | None:
    folder = Repository(options.out).folder(options.ensemble)
    if not (folder / MANIFEST).is_file():
        if folder.exists():
            raise ModelRefused(f"{folder} is there, without a {MANIFEST}; name another --ensemble")
        return None
    stored = Repository(options.out).open(options.ensemble)
    manifest = stored.manifest
    if manifest.prefix:
        raise ModelRefused(
            f"members of {stored.name} stand behind a prefix that was trained with them; name "
            "another --ensemble"
        )
    if options.window is not None or options.overlap is not None:
        raise SettingsError(f"--window, --overlap: {stored.name} is there, and has its own")
    if options.description:
        raise SettingsError(f"--description: {stored.name} is there, and has its own")
    return stored


def _task(source: ImportSource) -> Task:
    stored = source.stored
    said = source.options.task or (stored.manifest.task if stored else source.config.task)
    for kind in ("translation", "summarization"):
        if said and said.startswith(f"{kind}_"):
            # One of those that config.json has settings for, as translation_en_to_de.
            said = kind
    question, flag = f"What is it for: {', '.join(TASKS)}?", "--task TASK"
    if source.config.writes_anew:
        question = "It may translate or summarise, and config.json does not tell: which is it?"
        flag = "--task translation or --task summarization"
    task = task_named(said or source.prompter.ask(question, flag))
    if stored and stored.manifest.task != task.name:
        raise ModelRefused(
            f"the ensemble {stored.name} is for {stored.manifest.task}, not {task.name}; "
            "name another --ensemble"
        )
    return task


def _exported(files: ModelFiles, task: Task, folder: Path, export: Export) -> ModelFiles:
    if files.format == "onnx":
        return files
    if files.format == "hugging-face":
        export(files.path, task.name, folder)
        made = find_model_files(folder)
        return replace(files, model=made.model, decoder=made.decoder)
    convert(files, folder / MODEL)
    return replace(files, model=folder / MODEL)
