"""Reading a gate as the repository keeps it: a table of numbers, its members named."""

from __future__ import annotations

import io

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
    try:
        table = np.load(io.BytesIO(stored.gate(section)), allow_pickle=False)
    except (ValueError, EOFError) as reason:
        raise ModelRefused(f"{where} is not a NumPy file of numbers: {reason}") from None
    expected = (vocabulary, len(section.members))
    if table.dtype.kind != "f" or table.shape != expected or not np.isfinite(table).all():
        raise ModelRefused(
            f"{where} must hold finite numbers, a row for each of the tokenizer's {vocabulary} "
            f"tokens and a column for each of {', '.join(section.members)}: found {table.dtype} of "
            f"shape {table.shape}"
        )
    columns = [section.members.index(member.name) for member in stored.manifest.members]
    return Gate(table[:, columns].astype(np.float64), section.sharpness)
