"""What the members of an ensemble share, made once of the whole corpus, and kept on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tokenizers import Tokenizer

from streamproc.repository.files import atomic_directory


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
