"""Reading a gate as the repository keeps it: a table of numbers, its members named."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np

from streamproc.errors import ModelRefused
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.ensembling.gate import Gate


def read_gate(stored: StoredEnsemble, vocabulary: int) -> Gate | None:
    """The gate of an ensemble that has one, with a column a member in the manifest's order.

    vocabulary: how many tokens its tokenizer has
    Raises ModelRefused.
    """
    section = stored.manifest.gate
    if section is None:
        return None
    where = f"{stored.manifest.name}: {section.file}"
    expected = (vocabulary, len(section.members))
    file = io.BytesIO(stored.gate(section))
    try:
        kind, shape = _described(file)
        # Before anything is read: what a file says of itself is what memory is taken for.
        fits = kind.kind == "f" and shape == expected
        table = np.lib.format.read_array(file, allow_pickle=False) if fits else np.full(1, np.nan)
    except Exception as reason:  # noqa: BLE001 - a header is parsed as Python is, and so it fails
        raise ModelRefused(f"{where} is not a NumPy file of numbers: {reason}") from None
    if not np.isfinite(table).all():
        raise ModelRefused(
            f"{where} must hold finite numbers, a row for each of the tokenizer's {vocabulary} "
            f"tokens and a column for each of {', '.join(section.members)}: found {kind} of "
            f"shape {shape}"
        )
    columns = [section.members.index(member.name) for member in stored.manifest.members]
    return Gate(table[:, columns].astype(np.float64), section.sharpness)


def _described(file: BinaryIO) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """The type and shape that a file in NumPy's format says it has, rewound; raises ValueError."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, kind = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version} of the format is not one of numbers")
    file.seek(0)
    return kind, shape
