"""Adding members up so that neither their order nor what is beside them makes a difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamproc.types import FloatArray


def sorted_sum(terms: Sequence[FloatArray]) -> FloatArray:
    """The sum of arrays of one shape, at each place from the smallest to the largest.

    So that the order of the terms makes no difference. By odd-even transposition, a sorting network
    of whole arrays: for the few members there are, many times faster than sorting along an axis.
    """
    ordered = list(terms)
    for turn in range(len(ordered)):
        for left in range(turn % 2, len(ordered) - 1, 2):
            low, high = ordered[left], ordered[left + 1]
            ordered[left], ordered[left + 1] = np.minimum(low, high), np.maximum(low, high)
    total = ordered[0]
    for term in ordered[1:]:
        total = total + term
    return total
