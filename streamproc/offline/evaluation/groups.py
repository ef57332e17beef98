"""Records put into groups by a field of theirs, as by domain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamproc.errors import EvaluationError

RARE = 20
"""Of fewer records than this no figure is worth having: such groups are put together."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """names: of the groups, the largest first, what was put together last
    numbers: (records,) which group each record is in
    """

    by: str
    names: tuple[str, ...]
    numbers: NDArray[np.intp]


def grouped(fields: Sequence[Mapping[str, str]], by: str) -> Grouping:
    """Records by what their field `by` says; those without one are a group too.

    fields: of each record
    Raises EvaluationError when no record has the field, or no group is large enough.
    """
    if not any(by in own for own in fields):
        there = sorted({name for own in fields for name in own})
        raise EvaluationError(
            f"--by {by}: no record has that field; they have {', '.join(there) or 'none'}."
        )
    values = [own.get(by, "") for own in fields]
    sizes = Counter(values)
    large = sorted((value for value in sizes if sizes[value] >= RARE), key=lambda v: (-sizes[v], v))
    if not large:
        raise EvaluationError(
            f"--by {by}: none of its {len(sizes)} values has {RARE} of the {len(values)} records; "
            "choose another field, or more records."
        )
    names = [value or f"no {by}" for value in large]
    if rare := len(sizes) - len(large):
        names.append(f"other ({rare} of fewer than {RARE} records)")
    places = {value: place for place, value in enumerate(large)}
    numbers = np.array([places.get(value, len(large)) for value in values], np.intp)
    return Grouping(by, tuple(names), numbers)
