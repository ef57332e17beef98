"""From how likely each token is to start and to end an answer, to the likeliest spans of tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamproc.types import FloatArray


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans of tokens, the likeliest first; of equals the one that starts, then ends, earlier.

    first, last: (spans,) int, each span's tokens, both belong to it
    scores: (spans,) how likely the first token starts an answer, times how likely the last ends it
    """

    first: NDArray[np.intp]
    last: NDArray[np.intp]
    scores: FloatArray


def best_spans(starts: FloatArray, ends: FloatArray, max_tokens: int, count: int) -> Spans:
    """The best `count` spans of at most `max_tokens` tokens, or all where there are fewer.

    starts, ends: (tokens,) probabilities
    As `decode_spans` of transformers 4.57.6, which also gives out impossible spans of score 0 when
    there are fewer than `count`.
    """
    tokens = len(starts)
    longest = min(max_tokens, tokens)
    if not longest:
        nothing = np.empty(0, np.intp)
        return Spans(nothing, nothing, np.empty(0))
    # (tokens, longest): by first token and by how many follow it; -1 where the text has ended.
    following = np.concatenate((ends, np.zeros(longest - 1)))
    scores = starts[:, None] * np.lib.stride_tricks.sliding_window_view(following, longest)
    first, more = np.divmod(np.arange(scores.size), longest)
    flat = np.where(first + more < tokens, scores.ravel(), -1.0)
    possible = tokens * longest - longest * (longest - 1) // 2
    count = min(count, possible)
    # Everything as good as the last that counts, so that which of equals are taken is no accident.
    least = np.partition(flat, flat.size - count)[flat.size - count]
    found = np.flatnonzero(flat >= least)
    found = found[np.argsort(-flat[found], kind="stable")][:count]
    return Spans(first[found], first[found] + more[found], flat[found])
