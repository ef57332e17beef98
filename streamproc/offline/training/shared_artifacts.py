"""What the members of an ensemble share, made once of the whole corpus, and kept on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tokenizers import Tokenizer

from streamproc.errors import ModelRefused, TrainingError
from streamproc.repository.files import atomic_directory
from streamproc.repository.repository import Repository


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


def taken_over(ensemble: Path, base: Path) -> SharedArtifacts:
    """What the members of an ensemble that is there share, for those of another one.

    ensemble: its folder; base: that of the base that both have
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
    words = Tokenizer.from_str(tokenizer.decode())
    of_base = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokens = (words.id_to_token(number) for number in range(words.get_vocab_size()))
    kept = [number for token in tokens if (number := of_base.token_to_id(token)) is not None]
    if len(kept) < words.get_vocab_size():
        raise TrainingError(f"--prefix-of {ensemble}: it has words that {base.name} has not.")
    return SharedArtifacts(words, kept, prefix)
