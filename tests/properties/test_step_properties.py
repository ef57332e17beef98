"""What every way of combining members at a step has in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from streamproc.serving.ensembling.combine import combine
from streamproc.serving.ensembling.measures import agreement, entropy
from streamproc.serving.ensembling.sorted_sum import sorted_sum
from streamproc.serving.ensembling.steps import (
    STEP_STRATEGIES,
    StepStrategy,
    combine_step,
)
from streamproc.types import FloatArray

ways = st.sampled_from(STEP_STRATEGIES)
# Eighths: floats nearer to each other than that may be one number once a normaliser is taken off.
LOGITS = st.integers(-240, 240).map(lambda eighths: eighths / 8)


@st.composite
def voices(draw: Any) -> tuple[FloatArray, FloatArray]:
    """Logits (members, rows, vocabulary), and weights (members,)."""
    members, rows, vocabulary = (
        draw(st.integers(1, 5)),
        draw(st.integers(1, 3)),
        draw(st.integers(2, 6)),
    )
    logits = draw(arrays.arrays(np.float64, (members, rows, vocabulary), elements=LOGITS))
    weights = draw(arrays.arrays(np.float64, members, elements=st.floats(0.01, 10)))
    return logits, weights


@given(voices(), ways)
def test_a_step_is_combined_as_a_chunk_would_be(
    voices: tuple[FloatArray, FloatArray], way: StepStrategy
) -> None:
    logits, weights = voices
    step = combine_step(way, logits, weights)

    expected = combine(way, logits, weights)
    np.testing.assert_allclose(np.exp(step.log_probabilities), expected, atol=1e-12)
    for row in range(logits.shape[1]):
        assert np.isclose(step.entropy[row], entropy(expected[row]), atol=1e-9)
        shares = weights if way in {"weighted", "gated"} else np.ones_like(weights)
        chosen = int(step.log_probabilities[row].argmax())
        # Logits that differ by less than a probability can tell are alike to one and not the other.
        second, first = np.sort(logits[:, row], axis=-1)[:, -2:].T
        if ((first - second > 1e-9) | (first == second)).all():
            assert np.isclose(step.agreement[row], agreement(logits[:, row], shares, chosen))


@given(voices(), ways, st.randoms(use_true_random=False))
def test_any_order_of_members_gives_the_same_bits(
    voices: tuple[FloatArray, FloatArray], way: StepStrategy, random: Any
) -> None:
    logits, weights = voices
    order = list(range(len(weights)))
    random.shuffle(order)

    one, other = combine_step(way, *voices), combine_step(way, logits[order], weights[order])

    for name in ("log_probabilities", "log_normaliser", "entropy", "agreement"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@given(
    st.sampled_from([7, 2000, 9001]), st.integers(1, 12), st.integers(2, 9), ways, st.integers(0, 9)
)
def test_a_row_is_combined_to_the_same_bits_whatever_stands_beside_it(
    vocabulary: int, members: int, rows: int, way: StepStrategy, seed: int
) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(0, 5, (members, rows, vocabulary))
    weights = random.uniform(0.1, 3, (members, rows))

    together = combine_step(way, logits, weights)

    for row in range(rows):
        alone = combine_step(way, logits[:, row : row + 1], weights[:, row : row + 1])
        for name in ("log_probabilities", "log_normaliser", "entropy", "agreement"):
            found = getattr(together, name)[row : row + 1]
            assert found.tobytes() == getattr(alone, name).tobytes()


@given(voices(), ways)
def test_one_member_has_its_own_logits_back(
    voices: tuple[FloatArray, FloatArray], way: StepStrategy
) -> None:
    logits, weights = voices[0][:1], voices[1][:1]

    step = combine_step(way, logits, weights)

    np.testing.assert_allclose(
        step.log_probabilities + step.log_normaliser[:, None], logits[0], atol=1e-9
    )


@given(voices())
def test_the_mean_of_logits_has_their_mean_scale(voices: tuple[FloatArray, FloatArray]) -> None:
    step = combine_step("logit_mean", *voices)

    np.testing.assert_allclose(
        step.log_probabilities + step.log_normaliser[:, None], voices[0].mean(axis=0), atol=1e-9
    )


@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 4)), elements=LOGITS))
def test_a_sorted_sum_adds_from_the_smallest_up(terms: FloatArray) -> None:
    expected = np.zeros(terms.shape[1])
    for row in np.sort(terms, axis=0):
        expected = expected + row

    np.testing.assert_array_equal(sorted_sum(list(terms)), expected)
