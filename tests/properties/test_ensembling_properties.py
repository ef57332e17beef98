"""What every way of combining members has in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from streamproc.serving.ensembling.combine import STRATEGIES, combine, softmax
from streamproc.serving.ensembling.measures import agreement, entropy
from streamproc.types import FloatArray, Strategy

ways = st.sampled_from(STRATEGIES)
LOGITS = st.floats(-40, 40, width=32).map(float)


@st.composite
def voices(draw: Any) -> tuple[FloatArray, FloatArray]:
    """Logits (members, chunks, labels), NaN where a label is not known, and weights (members,)."""
    members, chunks, labels = (
        draw(st.integers(1, 5)),
        draw(st.integers(1, 3)),
        draw(st.integers(2, 4)),
    )
    logits = draw(arrays.arrays(np.float64, (members, chunks, labels), elements=LOGITS))
    unknown = draw(arrays.arrays(np.bool_, (members, labels)))
    unknown[unknown.sum(axis=1) > labels - 2] = False
    logits = np.where(unknown[:, None, :], np.nan, logits)
    weights = draw(arrays.arrays(np.float64, members, elements=st.floats(0.01, 10)))
    return logits, weights


@given(voices(), ways)
def test_probabilities_are_finite_not_negative_and_sum_to_one(
    voices: tuple[FloatArray, FloatArray], way: Strategy
) -> None:
    combined = combine(way, *voices)

    assert combined.shape == voices[0].shape[1:]
    assert np.isfinite(combined).all()
    assert (combined >= 0).all()
    np.testing.assert_allclose(combined.sum(axis=-1), 1, atol=1e-12)


@given(voices(), ways, st.randoms(use_true_random=False))
def test_any_order_of_members_gives_the_same_bits(
    voices: tuple[FloatArray, FloatArray], way: Strategy, random: Any
) -> None:
    logits, weights = voices
    order = list(range(len(weights)))
    random.shuffle(order)

    shuffled = combine(way, logits[order], weights[order])

    assert shuffled.tobytes() == combine(way, logits, weights).tobytes()


@given(voices(), ways, st.integers(2, 4))
def test_copies_of_one_member_say_what_it_says_alone(
    voices: tuple[FloatArray, FloatArray], way: Strategy, copies: int
) -> None:
    one, weight = voices[0][:1], voices[1][:1]

    together = combine(way, np.repeat(one, copies, axis=0), np.repeat(weight, copies))

    np.testing.assert_allclose(together, combine(way, one, weight), atol=1e-12)


@given(voices(), ways)
def test_a_batch_of_chunks_is_combined_as_each_of_them_alone(
    voices: tuple[FloatArray, FloatArray], way: Strategy
) -> None:
    logits, weights = voices

    together = combine(way, logits, weights)

    for chunk in range(logits.shape[1]):
        assert together[chunk].tobytes() == combine(way, logits[:, chunk], weights).tobytes()


@given(voices(), st.sampled_from(["mean", "logit_mean", "vote"]))
def test_weights_count_only_where_they_are_asked_for(
    voices: tuple[FloatArray, FloatArray], way: Strategy
) -> None:
    logits, weights = voices

    assert np.array_equal(combine(way, logits, weights), combine(way, logits, weights[::-1]))


@given(voices())
def test_equal_weights_are_the_mean_and_their_scale_makes_no_difference(
    voices: tuple[FloatArray, FloatArray],
) -> None:
    logits, weights = voices
    alike = np.full_like(weights, 0.3)

    np.testing.assert_allclose(
        combine("weighted", logits, alike), combine("mean", logits, weights), atol=1e-12
    )
    np.testing.assert_allclose(
        combine("weighted", logits, weights * 7), combine("weighted", logits, weights), atol=1e-12
    )


@given(voices(), ways, st.floats(-50, 50))
def test_where_a_members_logits_have_their_zero_makes_no_difference(
    voices: tuple[FloatArray, FloatArray], way: Strategy, shift: float
) -> None:
    logits, weights = voices
    ranked = np.sort(np.nan_to_num(softmax(logits), nan=-1), axis=-1)
    # A tie may go the other way by the last bit; a vote then does too.
    assume((ranked[..., -1] - ranked[..., -2] > 1e-9).all())

    np.testing.assert_allclose(
        combine(way, logits + shift, weights), combine(way, logits, weights), atol=1e-9
    )


@given(voices())
def test_entropy_is_between_certain_and_even(voices: tuple[FloatArray, FloatArray]) -> None:
    for row in combine("mean", *voices):
        assert 0 <= entropy(row) <= np.log(len(row)) + 1e-12


@given(voices(), st.randoms(use_true_random=False))
def test_agreement_is_a_share_whatever_the_order_and_shares_add_up(
    voices: tuple[FloatArray, FloatArray], random: Any
) -> None:
    probabilities, weights = softmax(voices[0])[:, 0], voices[1]
    order = list(range(len(weights)))
    random.shuffle(order)

    shares = [agreement(probabilities, weights, label) for label in range(probabilities.shape[1])]

    assert all(0 <= share <= 1 for share in shares)
    assert abs(sum(shares) - 1) < 1e-9
    assert shares == [
        agreement(probabilities[order], weights[order], label) for label in range(len(shares))
    ]
