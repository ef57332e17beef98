"""How large the weights in a Hugging Face folder are, told by their files' heads alone."""

from __future__ import annotations

import math
from pathlib import Path

from safetensors import SafetensorError, safe_open

from streamproc.errors import ModelRefused

GIT_POINTER = (
    "is what Git keeps in the place of a large file, not the file: fetch it (git lfs pull), or "
    "download it anew"
)
_FLOAT32_BYTES = 4


def is_git_pointer(path: Path) -> bool:
    """Whether a file is a pointer of Git LFS."""
    with path.open("rb") as file:
        return file.read(32).startswith(b"version https://git-lfs")


def float32_bytes(folder: Path) -> int:
    """What the weights of a folder take in float32; raises ModelRefused where a file is none."""
    return sum(_elements(file) for file in sorted(folder.glob("*.safetensors"))) * _FLOAT32_BYTES


def _elements(path: Path) -> int:
    if is_git_pointer(path):
        raise ModelRefused(f"{path} {GIT_POINTER}")
    try:
        with safe_open(path, framework="np") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise ModelRefused(
            f"{path}: not a safetensors file, or the end of the file is missing ({error}); "
            "download it anew"
        ) from None
