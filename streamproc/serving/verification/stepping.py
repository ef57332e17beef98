"""Whether a model says the same of a text token by token and in one go, alone and in a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from streamproc.errors import TrainingError
from streamproc.serving.verification.parity import FloatingArray, require_parity
from streamproc.types import BoolArray, Int64Array

Logits = NDArray[np.float32]
PastT = TypeVar("PastT")


Begin = Callable[[slice], tuple[Logits, PastT]]
"""Reads the beginnings of some rows: (rows, tokens read, vocabulary) logits, and their past."""

Step = Callable[[Int64Array, slice, PastT], tuple[Logits, PastT]]
"""Reads one more token, (rows, 1), of some rows: (rows, 1, vocabulary) logits, and their past."""


def read_stepwise(
    name: str, begin: Begin[PastT], step: Step[PastT], following: Int64Array
) -> Logits:
    """(rows, tokens, vocabulary) logits of what `begin` reads and of the tokens after that.

    following: (rows, tokens) to be read one by one
    Raises TrainingError where the first row gets other logits, to the bit, when it is alone.
    """
    everything, first = slice(None), slice(1)
    together, past = begin(everything)
    alone, own_past = begin(first)
    read, same = [together], alone.tobytes() == together[:1].tobytes()
    for tokens in np.split(following, following.shape[1], axis=1) if following.size else ():
        together, past = step(tokens, everything, past)
        alone, own_past = step(tokens[:1], first, own_past)
        same &= alone.tobytes() == together[:1].tobytes()
        read.append(together)
    if not same:
        raise TrainingError(f"{name}: a text gets another answer in a batch than alone.")
    return np.concatenate(read, axis=1)


def require_same_logits(
    name: str,
    ways: Sequence[Logits],
    expected: FloatingArray | None = None,
    own_error: float | None = None,
    *,
    of: str,
    counted: BoolArray | None = None,
) -> float:
    """How far different ways to read the same texts are from what torch says of them, at most.

    ways:      (rows, tokens, vocabulary) each; the first is of whole texts
    expected:  what torch says; without it the first way has to do
    own_error: as `require_parity` has it
    of:        what was read, for the message
    counted:   (rows, tokens), which of them are; None: all
    Raises TrainingError when it is too large.
    """
    right = ways[0] if expected is None else expected
    share = np.ones((1, 1)) if counted is None else counted
    apart = [np.abs(logits - right[:, : logits.shape[1]]) for logits in ways]
    # NumPy's maximum, unlike Python's, is no number where one of them is none.
    difference = float(np.max([(each * share[..., None]).max() for each in apart]))
    to = "torch's" if expected is not None else f"those of the same {of} read in one go"
    require_parity(f"{name}: logits", difference, right, own_error, to=to)
    return difference
