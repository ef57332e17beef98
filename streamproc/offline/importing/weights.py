"""How large the weights in a Hugging Face folder are, told by their files' heads alone."""

from __future__ import annotations

import math
from pathlib import Path

import orjson

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
    return sum(_numbers(file) for file in sorted(folder.glob("*.safetensors"))) * _FLOAT32_BYTES


def _numbers(path: Path) -> int:
    """How many numbers a *.safetensors holds: a size, then a JSON of each tensor's shape."""
    if is_git_pointer(path):
        raise ModelRefused(f"{path} {GIT_POINTER}")
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            head = orjson.loads(file.read(length) if length < size else b"")
        tensors = [value for name, value in head.items() if name != "__metadata__"]
        ends = [value["data_offsets"][1] for value in tensors]
        found = sum(math.prod(map(int, value["shape"])) for value in tensors)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, IndexError):
        raise ModelRefused(f"{path}: not a safetensors file, or not all of it") from None
    if size < 8 + length + max(ends, default=0):
        raise ModelRefused(f"{path}: the end of the file is missing; download it anew")
    return found
