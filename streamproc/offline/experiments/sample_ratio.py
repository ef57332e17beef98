"""Whether arms got the share of requests that their weights say.

Where they did not, something else than chance decides who is in which arm, and no difference
between them means anything. The test may be looked at as often as one likes: the Bayes factor of
Lindon and Malek (2022), "Anytime-valid inference for multinomial count data".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

MISMATCH_BELOW: Final = 0.001
_CONCENTRATION: Final = 100.0
"""Of the alternative around the weights: differences of some per cent are what is looked for."""


def sample_ratio_p(counts: Sequence[int], weights: Sequence[float]) -> float:
    """An always-valid p-value of counts having come by their weights.

    counts: of units, by arm; weights: in proportion to each other
    """
    total, whole = sum(counts), sum(weights)
    shares = [weight / whole for weight in weights]
    log_factor = math.lgamma(_CONCENTRATION) - math.lgamma(_CONCENTRATION + total)
    for count, share in zip(counts, shares, strict=True):
        prior = _CONCENTRATION * share
        log_factor += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(share)
    return math.exp(min(0.0, -log_factor))
