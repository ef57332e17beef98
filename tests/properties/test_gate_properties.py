"""What a gate promises, whatever its table."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from streamproc.serving.ensembling.gate import Gate, evidence
from streamproc.types import Int64Array

VOCABULARY = 6


@st.composite
def gates(draw: Any) -> Gate:
    members = draw(st.integers(1, 4))
    table = arrays.arrays(np.float64, (VOCABULARY, members), elements=st.floats(-20, 20))
    return Gate(draw(table), draw(st.floats(0, 100)))


texts = arrays.arrays(np.int64, st.integers(1, 12), elements=st.integers(0, VOCABULARY - 1))


@given(gates(), texts)
def test_every_member_has_a_say_and_all_of_them_sum_to_one(gate: Gate, ids: Int64Array) -> None:
    weights = gate.weights(ids)

    assert (weights > 0).all()
    assert np.isclose(weights.sum(), 1)


@given(gates(), texts, st.randoms(use_true_random=False))
def test_the_order_of_members_changes_no_bit(gate: Gate, ids: Int64Array, random: Any) -> None:
    order = list(range(gate.evidence.shape[1]))
    random.shuffle(order)
    shuffled = Gate(gate.evidence[:, order], gate.sharpness)

    assert shuffled.weights(ids).tobytes() == gate.weights(ids)[order].tobytes()


@given(gates(), texts)
def test_weights_along_a_text_are_those_of_its_beginnings(gate: Gate, ids: Int64Array) -> None:
    along = gate.weights_along(ids)

    for token in range(len(ids)):
        np.testing.assert_allclose(along[token], gate.weights(ids[: token + 1]), atol=1e-9)


@given(texts, st.integers(1, 4))
def test_without_evidence_all_have_the_same_say(ids: Int64Array, members: int) -> None:
    gate = Gate(np.zeros((VOCABULARY, members)), 8.0)

    np.testing.assert_allclose(gate.weights(ids), 1 / members)
    np.testing.assert_allclose(gate.weights(ids[:0]), 1 / members)


@given(arrays.arrays(np.float64, (VOCABULARY, 3), elements=st.integers(0, 1000).map(float)))
def test_a_token_speaks_for_the_part_that_has_the_larger_share_of_it(counts: Any) -> None:
    told = evidence(counts)

    assert np.isfinite(told).all()
    shares = (counts + 1) / (counts + 1).sum(axis=0)
    for token in range(VOCABULARY):
        if counts[token].any():
            assert np.isclose(shares[token, told[token].argmax()], shares[token].max())
        else:
            assert not told[token].any()


@given(gates(), texts, st.lists(st.integers(0, VOCABULARY - 1), max_size=8))
def test_what_is_added_up_token_by_token_weighs_as_the_whole_text(
    gate: Gate, ids: Int64Array, more: list[int]
) -> None:
    written = np.array(more, np.int64)
    closeness = gate.closeness_after(ids)
    for tokens in range(len(written)):
        closeness.of(written[:tokens])

    weights = gate.shares(closeness.of(written)[None])[0]
    began_again = gate.shares(closeness.of(written[:0])[None])[0]

    whole = gate.weights(np.concatenate((ids, written)))
    np.testing.assert_allclose(weights, whole, rtol=1e-9)
    np.testing.assert_allclose(began_again, gate.weights(ids), rtol=1e-9)
