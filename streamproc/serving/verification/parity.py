"""How far an exported model may be from torch: as far as float32 is from itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamproc.errors import TrainingError

FloatingArray = NDArray[np.floating[Any]]

# Of the largest logit, or of 1 where all are smaller. Sums in float32 that are added up in another
# order differ by a hundredth of it, a weight that is wrong by far more.
_SHARE = 1e-4
# Models whose layers amplify rounding, as T5 of random weights does, are far from themselves in
# float64; an export adds up in a third order, and was seen as far as twice that.
_TIMES_OWN_ERROR = 10.0


def allowed_difference(logits: FloatingArray, own_error: float = 0.0) -> float:
    """How far an export's logits may be from torch's.

    logits:    what torch says
    own_error: how far torch's own float32 is from its float64, where that was measured
    """
    largest = float(np.abs(logits).max(initial=1.0))
    return _SHARE * largest + _TIMES_OWN_ERROR * own_error


def require_parity(
    what: str,
    difference: float,
    logits: FloatingArray,
    own_error: float | None = None,
    *,
    to: str = "torch's",
    hint: str = "Is the exporter's version the pinned one?",
) -> None:
    """Raise TrainingError where an export is further from torch than float32 explains.

    what:       was compared
    difference: its largest difference to `logits`, which torch says, or whoever `to` names
    own_error:  as `allowed_difference` has it; None where it was not measured
    hint:       at what else it may be
    """
    allowed = allowed_difference(logits, own_error or 0.0)
    if difference <= allowed:
        return
    measured = (
        ""
        if own_error is None
        else f", and torch's own float32 is {own_error:.2g} from its float64"
    )
    raise TrainingError(
        f"{what} of the exported model are {difference:.2g} from {to}; the largest is "
        f"{float(np.abs(logits).max(initial=0.0)):.3g}{measured}, so that rounding in float32 "
        f"explains {allowed:.2g} at most. {hint}"
    )
