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


def best_spans(starts: FloatArray, ends: FloatArray, max_tokens: int, count: int) -> list[Spans]:
    """For each opinion the best `count` spans of at most `max_tokens` tokens, or all where there
    are fewer.

    starts, ends: (opinions, tokens) probabilities
    As `decode_spans` of transformers 4.57.6, which also gives out impossible spans of score 0 when
    there are fewer than `count`.
    """
    opinions, tokens = starts.shape
    longest = min(max_tokens, tokens)
    if not longest:
        nothing = np.empty(0, np.intp)
        return [Spans(nothing, nothing, np.empty(0))] * opinions
    # (opinions, tokens, longest): by first token and by how many follow it; -1 behind the text.
    following = np.concatenate((ends, np.zeros((opinions, longest - 1))), axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(following, longest, axis=1)
    first, more = np.divmod(np.arange(tokens * longest), longest)
    scores = (starts[:, :, None] * windows).reshape(opinions, -1)
    flat = np.where(first + more < tokens, scores, -1.0)
    possible = tokens * longest - longest * (longest - 1) // 2
    count = min(count, possible)
    # Everything as good as the last that counts, so that which of equals are taken is no accident.
    place = flat.shape[1] - count
    least = np.partition(flat, place, axis=1)[:, place]
    best = []
    for own, lowest in zip(flat, least, strict=True):
        found = np.flatnonzero(own >= lowest)
        found = found[np.argsort(-own[found], kind="stable")][:count]
        best.append(Spans(first[found], first[found] + more[found], own[found]))
    return best
