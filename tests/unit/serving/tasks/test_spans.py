from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from streamproc.serving.tasks.spans import best_spans
from streamproc.types import FloatArray


def by_trying_all(
    starts: FloatArray, ends: FloatArray, max_tokens: int, count: int
) -> list[tuple[int, int, float]]:
    tokens = range(len(starts))
    spans = [
        (first, last, float(starts[first] * ends[last]))
        for first in tokens
        for last in tokens
        if first <= last < first + max_tokens
    ]
    return sorted(spans, key=lambda span: (-span[2], span[0], span[1]))[:count]


@given(
    st.integers(0, 12).flatmap(
        lambda tokens: arrays.arrays(
            np.float64, (2, tokens), elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7])
        )
    ),
    st.integers(1, 14),
    st.integers(1, 40),
)
def test_the_best_spans_are_those_found_by_trying_all(
    probabilities: FloatArray, max_tokens: int, count: int
) -> None:
    # Of another opinion beside it, too.
    starts, ends = probabilities, probabilities[::-1]

    for own, spans in enumerate(best_spans(starts, ends, max_tokens, count)):
        found = list(
            zip(spans.first.tolist(), spans.last.tolist(), spans.scores.tolist(), strict=True)
        )
        assert found == by_trying_all(starts[own], ends[own], max_tokens, count)


def test_equal_spans_come_in_the_order_of_the_text() -> None:
    (spans,) = best_spans(np.full((1, 3), 0.5), np.full((1, 3), 0.5), 2, 4)

    assert list(zip(spans.first, spans.last, strict=True)) == [(0, 0), (0, 1), (1, 1), (1, 2)]
    assert spans.scores == pytest.approx([0.25] * 4)
