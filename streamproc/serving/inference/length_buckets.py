"""Which rows share a call, so that short ones are not padded to the length of a long one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def length_buckets(columns: NDArray[np.int64], spare_columns: int) -> list[list[int]]:
    """Rows in lots of similar length: of each, its rows by number, rising.

    columns:       (rows,) what each row takes by itself
    spare_columns: padding that costs less than another call
    A lot is padded by no more than that, or than what its rows take by themselves: so all lots
    together take twice what their rows do at most, and what another call would cost.
    """
    lots: list[list[int]] = []
    longest = taken = padding = 0
    for row in np.argsort(-columns, kind="stable").tolist():
        own = int(columns[row])
        more = longest - own
        if lots and padding + more <= max(spare_columns, taken + own):
            lots[-1].append(row)
            taken, padding = taken + own, padding + more
        else:
            lots.append([row])
            longest, taken, padding = own, own, 0
    return [sorted(lot) for lot in lots]
