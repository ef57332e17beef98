"""What can be told of a model before it is exported, which takes minutes, is told before."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from streamproc.errors import ModelRefused, SettingsError
from streamproc.offline.importing.families import require_served
from streamproc.offline.importing.generative import decoding_of
from streamproc.offline.importing.hf_config import HfConfig
from streamproc.offline.importing.import_source import ImportSource
from streamproc.offline.importing.output_kind import Scale
from streamproc.offline.importing.safetensors_size import float32_bytes
from streamproc.offline.importing.tokenizers import padding_token
from streamproc.repository.repository import MANIFEST
from streamproc.repository.section import MEMBER_VERSION
from streamproc.repository.signatures import SIGNATURE
from streamproc.repository.versions import next_version
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.task import Task

# What one ONNX file holds at most, and so what a member's does.
_MOST_BYTES = 2**31
# An encoder-decoder is exported as an encoder, a decoder, one that goes on, and the last two in
# one; each may be as large as the whole.
_COPIES_OF_ENCODER_DECODER = 4
_CLASSES = "single_label_classification"
# What lies in an ensemble's folder beside its members' folders.
_OTHER_FILES = (MANIFEST, SIGNATURE, "tokenizer.json")


def require_free_place(source: ImportSource) -> None:
    """Raise SettingsError, ModelRefused where a member can't have that name and version."""
    options, stored, name = source.options, source.stored, source.member
    if name in _OTHER_FILES or (stored and (stored.folder / name).is_file()):
        raise SettingsError(f"--member {name}: an ensemble has a file of that name; name another")
    if not re.fullmatch(MEMBER_VERSION, options.version) or options.version in {".", ".."}:
        raise SettingsError(
            f"--version {options.version!r}: a version is up to 64 of letters, digits, '.', '_' "
            "and '-'"
        )
    if stored is None:
        if not options.use:
            raise SettingsError("--no-use: a new ensemble uses the only version there is")
        return
    if stored.manifest.gate and name not in stored.manifest.gate.members:
        raise ModelRefused(
            f"{stored.name} has a gate, which tells how much say its members have on a text and "
            f"knows nothing of {name}: name another --ensemble; or take the section [gate] and "
            f"the strategy gated out of {stored.folder / MANIFEST}, import {name}, and let "
            f"streamproc fit-ensemble {stored.name} choose anew"
        )
    used = {member.name: member.version for member in stored.manifest.members}
    if not options.use and name not in used:
        raise SettingsError(
            f"--no-use: {stored.name} has no member {name} yet, and one that joins is used"
        )
    if used.get(name) == options.version or (stored.folder / name / options.version).exists():
        raise ModelRefused(
            f"{stored.name} has {name} in version {options.version} already: name "
            f"another, which then lies beside it (--version {next_version(stored, name)}), or "
            "another member (--member)"
        )


def require_classes(config: HfConfig, scale: Scale | None) -> None:
    """Raise ModelRefused where config.json tells of a head that is no softmax over labels, and the
    task knows no other.

    scale: what somebody said that the scores are
    """
    kind = config.model.problem_type
    if kind == "multi_label_classification":
        raise ModelRefused(
            "config.json says multi_label_classification: its labels do not exclude each other, "
            "and a token has one label here"
        )
    if kind == "regression":
        raise ModelRefused(
            "config.json says problem_type regression: the head gives numbers, not the scores of "
            "labels"
        )
    if kind not in {None, _CLASSES}:
        raise ModelRefused(
            f"config.json says problem_type {kind!r}, which transformers does not know either: "
            f"of {_CLASSES} models are served"
        )
    if config.outputs == 1 and scale is None:
        raise ModelRefused(
            "config.json has a head of one output, which transformers trains as a regression; "
            "where it was trained to tell two labels, say what the output is (--scores logits) and "
            "name them, that of 0 first (--label NAME twice)"
        )
    function = config.model.function_to_apply
    if function not in {None, "softmax"} and scale is None:
        raise ModelRefused(
            f"config.json says function_to_apply {function}, where scores are a softmax here: its "
            "pipeline's scores would not be had; where a softmax is meant, say --scores logits"
        )


def require_flags_of(task: Task, source: ImportSource) -> None:
    """Raise SettingsError where a flag means nothing for the task, or can't be what it is."""
    options = source.options
    writes = isinstance(task, DecodingTask)
    flags = {
        "--label": writes and options.labels,
        "--input": writes and options.inputs,
        "--output": writes and options.outputs,
        "--scores": writes and options.scores,
        "--padded-to": writes and options.padded_to,
        "--pad-token": writes and options.pad_token,
        "--pad-side": writes and options.pad_side != "right",
        "--prefix": not writes and options.prefix,
        "--source-language": not writes and options.source_language,
        "--target-language": not writes and options.target_language,
    }
    if meaningless := [flag for flag, is_said in flags.items() if is_said]:
        raise SettingsError(f"{', '.join(meaningless)}: flags that mean nothing for {task.name}")
    if source.problem_type == "regression" and options.scores == "probabilities":
        raise SettingsError("--scores: means nothing for a regression, whose numbers are its own")
    if options.labels and not task.labelled:
        raise SettingsError(f"--label: {task.name} has no labels")
    padding_token(source.tokenizer, options.pad_token)
    window = options.window or source.config.positions
    if options.overlap and window and options.overlap > window // 2:
        raise SettingsError(
            f"--overlap {options.overlap}: windows of {window} tokens share at most {window // 2}"
        )


def check_before_export(source: ImportSource, task: Task) -> None:
    """Raise ModelRefused, SettingsError where a Hugging Face folder can't become a member."""
    require_served(source.config.model.model_type, task.name)
    if isinstance(task, DecodingTask):
        decoding_of(source, task)
    _require_vocabulary(source)
    require_window(source, source.config.positions)
    path = source.files.path
    size = float32_bytes(path)
    several = isinstance(task, DecodingTask) and task.architecture == "encoder-decoder"
    if size > _MOST_BYTES and not several:
        raise ModelRefused(
            f"{path} has {_gib(size)} of weights in float32, and a member is one file of at "
            "most 2 GiB: export it elsewhere in half precision (optimum-cli export onnx --dtype "
            "fp16), and import what that wrote"
        )
    copies = _COPIES_OF_ENCODER_DECODER if several else 1
    _require_space(Path(tempfile.gettempdir()), size * copies, "to export it")
    _require_space(source.options.out, size, "for the member")


def _require_vocabulary(source: ImportSource) -> None:
    scored = source.config.model.vocab_size
    known = TextTokenizer(source.tokenizer).vocabulary_size
    if scored is not None and scored < known:
        raise ModelRefused(
            f"config.json has a vocabulary of {scored} tokens, and the tokenizer one of {known}: "
            "is it the model's own? Name the one whose ids it was trained with (--tokenizer FILE)"
        )


def require_window(source: ImportSource, most: int | None) -> None:
    """Raise ModelRefused, SettingsError where windows are longer than the model takes tokens."""
    options, stored = source.options, source.stored
    if most is None:
        return
    if stored and stored.manifest.window.max_tokens > most and stored.manifest.decoding is None:
        raise ModelRefused(
            f"the windows of {stored.name} are {stored.manifest.window.max_tokens} "
            f"tokens, and the model takes {most} at most: make an ensemble of shorter windows "
            "(--ensemble, --window)"
        )
    if options.window and options.window > most:
        raise SettingsError(f"--window {options.window}: the model takes {most} tokens at most")


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
