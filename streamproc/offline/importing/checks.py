"""What can be told of a model before it is exported, which takes minutes, is told before."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from streamproc.errors import ModelRefused, SettingsError
from streamproc.offline.importing.configuration import Configuration
from streamproc.offline.importing.families import require_served
from streamproc.offline.importing.import_options import ImportOptions
from streamproc.offline.importing.sources import Source
from streamproc.offline.importing.tokenizers import padding_token
from streamproc.offline.importing.weights import float32_bytes
from streamproc.offline.importing.writing import decoding_of
from streamproc.repository.manifest import MEMBER_VERSION
from streamproc.repository.repository import StoredEnsemble
from streamproc.repository.versions import next_version
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.task import Task

# What one ONNX file holds at most, and so what a member's does.
_MOST_BYTES = 2**31
# An encoder-decoder is exported as an encoder, a decoder, one that goes on, and the last two in
# one; each may be as large as the whole.
_COPIES = {"translation": 4}


def require_free_place(name: str, wishes: ImportOptions, stored: StoredEnsemble | None) -> None:
    """Raise SettingsError, ModelRefused where a member can't have that name and version."""
    if not re.fullmatch(MEMBER_VERSION, wishes.version) or wishes.version in {".", ".."}:
        raise SettingsError(
            f"--version {wishes.version!r}: a version is up to 64 of letters, digits, '.', '_' "
            "and '-'"
        )
    if stored is None:
        if not wishes.use:
            raise SettingsError("--no-use: a new ensemble uses the only version there is")
        return
    used = {member.name: member.version for member in stored.manifest.members}
    if not wishes.use and name not in used:
        raise SettingsError(
            f"--no-use: {stored.manifest.name} has no member {name} yet, and one that joins is used"
        )
    if used.get(name) == wishes.version or (stored.folder / name / wishes.version).exists():
        raise ModelRefused(
            f"{stored.manifest.name} has {name} in version {wishes.version} already: name another, "
            f"which then lies beside it (--version {next_version(stored, name)}), or another "
            "member (--member)"
        )


def require_flags_of(
    task: Task, wishes: ImportOptions, tokenizer: bytes, configuration: Configuration
) -> None:
    """Raise SettingsError where a flag means nothing for the task, or can't be what it is."""
    if isinstance(task, DecodingTask) and (
        wishes.labels or wishes.inputs or wishes.outputs or wishes.scores or wishes.padded_to
    ):
        raise SettingsError(
            f"--label, --input, --output, --scores and --padded-to mean nothing for {task.name}"
        )
    if wishes.labels and not task.labelled:
        raise SettingsError(f"--label: {task.name} has no labels")
    padding_token(tokenizer, wishes.pad_token)
    window = wishes.window or configuration.positions
    if wishes.overlap and window and wishes.overlap > window // 2:
        raise SettingsError(
            f"--overlap {wishes.overlap}: windows of {window} tokens share at most {window // 2}"
        )


def check_before_export(
    source: Source,
    task: Task,
    wishes: ImportOptions,
    configuration: Configuration,
    tokenizer: bytes,
    stored: StoredEnsemble | None,
) -> None:
    """Raise ModelRefused, SettingsError where a Hugging Face folder can't become a member."""
    require_served(configuration.model_type, task.name)
    if isinstance(task, DecodingTask):
        both = task.architecture == "encoder-decoder"
        decoding_of(wishes, configuration, stored, encoder_decoder=both)
    _require_vocabulary(configuration, tokenizer)
    _require_window(configuration, wishes, stored)
    size = float32_bytes(source.path)
    if size > _MOST_BYTES and task.name not in _COPIES:
        raise ModelRefused(
            f"{source.path} has {_gib(size)} of weights in float32, and a member is one file of at "
            "most 2 GiB: export it elsewhere in half precision (optimum-cli export onnx --dtype "
            "fp16), and import what that wrote"
        )
    _require_space(Path(tempfile.gettempdir()), size * _COPIES.get(task.name, 1), "to export it")
    _require_space(wishes.out, size, "for the member")


def _require_vocabulary(configuration: Configuration, tokenizer: bytes) -> None:
    scored, known = configuration.vocabulary, TextTokenizer(tokenizer).vocabulary_size
    if scored is not None and scored < known:
        raise ModelRefused(
            f"config.json has a vocabulary of {scored} tokens, and the tokenizer one of {known}: "
            "is it the model's own? Name the one whose ids it was trained with (--tokenizer FILE)"
        )


def _require_window(
    configuration: Configuration, wishes: ImportOptions, stored: StoredEnsemble | None
) -> None:
    most = configuration.positions
    if most is None:
        return
    if stored and stored.manifest.window.max_tokens > most and stored.manifest.decoding is None:
        raise ModelRefused(
            f"the windows of {stored.manifest.name} are {stored.manifest.window.max_tokens} "
            f"tokens, and the model takes {most} at most: make an ensemble of shorter windows "
            "(--ensemble, --window)"
        )
    if wishes.window and wishes.window > most:
        raise SettingsError(f"--window {wishes.window}: the model takes {most} tokens at most")


def _require_space(folder: Path, needed: int, what: str) -> None:
    there = folder
    while not there.exists():
        there = there.absolute().parent
    free = shutil.disk_usage(there).free
    if free < needed:
        raise ModelRefused(
            f"{there} has {_gib(free)} of free space, and {_gib(needed)} are needed {what}"
            + (": set TMPDIR to a larger disk" if "export" in what else "")
        )


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.1f} GiB"
