"""What the members of an ensemble share, made once of the whole corpus, and kept on disk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import onnx
from tokenizers import Tokenizer

from streamproc.errors import ModelRefused, TrainingError
from streamproc.offline.training.base import Base
from streamproc.repository.files import atomic_directory
from streamproc.repository.repository import Repository

_LAYER: Final = re.compile(r"\blayer\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class SharedArtifacts:
    """kept: (vocabulary,) the base's token id of each of the tokenizer's, where there is a base.

    prefix: the frozen layers, an ONNX file's bytes, where there are any
    parts:  how many records each part of the corpus has, in the order of their names
    """

    tokenizer: Tokenizer
    kept: Sequence[int] = ()
    prefix: bytes | None = None
    parts: Mapping[str, int] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write it into a folder, which appears when it is complete."""
        with atomic_directory(folder) as unfinished:
            # Without line breaks: half of the file would be indentation.
            text = self.tokenizer.to_str(pretty=False)
            (unfinished / "tokenizer.json").write_text(text, encoding="utf-8")
            about = {"parts": dict(self.parts), "kept": list(self.kept)}
            (unfinished / "about.json").write_text(json.dumps(about), encoding="utf-8")
            if self.prefix is not None:
                (unfinished / "prefix.onnx").write_bytes(self.prefix)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What was saved in a folder."""
        prefix = folder / "prefix.onnx"
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        return cls(
            Tokenizer.from_file(str(folder / "tokenizer.json")),
            tuple(about["kept"]),
            prefix.read_bytes() if prefix.is_file() else None,
            about["parts"],
        )


def taken_over(ensemble: Path, base: Base, layers: int, max_tokens: int) -> SharedArtifacts:
    """What the members of an ensemble that is there share, for those of another one.

    ensemble: its folder; base: the one that both have
    layers: how many of its layers are taken for frozen
    max_tokens: the longest input that is to pass through the frozen layers
    Raises TrainingError.
    """
    try:
        stored = Repository(ensemble.absolute().parent).open(ensemble.name)
        section = stored.manifest.prefix
        if section is None:
            raise TrainingError(f"--prefix-of {ensemble}: its members share no frozen layers.")
        tokenizer, prefix = stored.tokenizer(), stored.prefix(section)
    except ModelRefused as refused:
        raise TrainingError(f"--prefix-of {ensemble}: {refused}.") from None
    theirs = str(stored.manifest.members[0].provenance.get("base", ""))
    if _weights(theirs) not in {"", _weights(base.description)}:
        raise TrainingError(
            f"--prefix-of {ensemble}: its layers are of another base, {theirs}: name it by --base."
        )
    tensors = onnx.load_from_string(prefix).graph.initializer
    if (frozen := _layers(tensors)) not in {0, layers}:
        raise TrainingError(
            f"--prefix-of {ensemble}: it has frozen {frozen} layers: say --freeze-layers {frozen}."
        )
    if (positions := _positions(tensors)) is not None and max_tokens > positions:
        raise TrainingError(
            f"--prefix-of {ensemble}: its frozen layers have {positions} positions: "
            f"--window can be at most {positions}, not {max_tokens}."
        )
    words = Tokenizer.from_str(tokenizer.decode())
    of_base = Tokenizer.from_file(str(base.folder / "tokenizer.json"))
    tokens = (words.id_to_token(number) for number in range(words.get_vocab_size()))
    kept = [number for token in tokens if (number := of_base.token_to_id(token)) is not None]
    if len(kept) < words.get_vocab_size():
        raise TrainingError(
            f"--prefix-of {ensemble}: it has words that {base.folder.name} has not."
        )
    return SharedArtifacts(words, kept, prefix)


def _weights(description: str) -> str:
    """The digest in a base's description, which a folder's name does not change."""
    return description.rpartition("sha256 ")[2]


def _layers(tensors: Iterable[onnx.TensorProto]) -> int:
    """How many layers these are the weights of; 0 where their names do not say."""
    return len({found[1] for tensor in tensors if (found := _LAYER.search(tensor.name))})


def _positions(tensors: Iterable[onnx.TensorProto]) -> int | None:
    """How many tokens frozen layers have positions for; None where no weights are called so."""
    named = (t for t in tensors if "position_embeddings.weight" in t.name and len(t.dims) == 2)
    return next((int(tensor.dims[0]) for tensor in named), None)
