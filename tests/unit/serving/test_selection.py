"""Which members are asked for a chunk, and in which order."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.serving.brown_out import BrownOut
from streamproc.serving.selection import MemberPolicy, Scores, Selection, replayed, select
from streamproc.types import FloatArray

SCORES = np.array([1.0, 0.0])


def never(_: Mapping[int, FloatArray], margin: float) -> bool:
    return False


def always(_: Mapping[int, FloatArray], margin: float) -> bool:
    return True


def asked(selection: Selection, known: Scores) -> list[int]:
    return list(replayed(selection, known))


def known(members: int, failed: tuple[int, ...] = ()) -> dict[int, FloatArray | None]:
    return {member: None if member in failed else SCORES for member in range(members)}


def test_a_cascade_asks_the_member_with_the_largest_say_first_and_stops_when_that_settles_it() -> (
    None
):
    weights = np.array([0.2, 0.5, 0.3])
    policy = MemberPolicy("cascade", margin=0.9)
    assert asked(select(policy, weights, always), known(3)) == [1]
    assert asked(select(policy, weights, never), known(3)) == [1, 2, 0]


def test_a_cascade_goes_on_until_those_asked_are_enough() -> None:
    selection = Selection(MemberPolicy(), [0, 1, 2, 3], 1, lambda said: len(said) == 2)
    assert asked(selection, known(4)) == [0, 1]


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.4, [1]), (0.5, [1]), (0.51, [1, 2]), (0.8, [1, 2]), (0.81, [1, 2, 0]), (1.0, [1, 2, 0])],
)
def test_trusted_are_the_fewest_that_hold_a_share_of_the_say(
    share: float, expected: list[int]
) -> None:
    selection = select(MemberPolicy("trusted", share=share), np.array([0.2, 0.5, 0.3]), never)
    assert asked(selection, known(3)) == expected


@pytest.mark.parametrize(
    ("left_out", "expected"), [(0, [0, 1, 2]), (1, [0, 1]), (2, [0]), (9, [0])]
)
def test_a_brown_out_leaves_so_many_out_and_never_all(left_out: int, expected: list[int]) -> None:
    policy = MemberPolicy(limit=BrownOut(1.0, left_out=left_out))
    assert asked(select(policy, np.ones(3), never), known(3)) == expected
    assert policy.applied == ("brown-out" if left_out else None)


def test_a_brown_out_that_begins_while_a_chunk_waits_counts_and_comes_before_a_cascade() -> None:
    brown_out = BrownOut(1.0)
    policy = MemberPolicy("cascade", margin=0.9, limit=brown_out)
    waiting = select(policy, np.ones(3), never)
    brown_out.left_out = 1
    assert asked(waiting, known(3)) == [0, 1]
    assert policy.applied == "brown-out"


@given(
    st.lists(st.floats(0.01, 1), min_size=1, max_size=6),
    st.one_of(
        st.builds(MemberPolicy, st.just("cascade"), margin=st.floats(0, 1)),
        st.builds(MemberPolicy, st.just("trusted"), share=st.floats(0.01, 1)),
        st.builds(
            MemberPolicy, limit=st.builds(BrownOut, st.just(1.0), left_out=st.integers(0, 7))
        ),
    ),
    st.data(),
)
def test_where_one_that_is_asked_fails_all_are_asked_and_nobody_is_asked_twice(
    weights: list[float], policy: MemberPolicy, data: st.DataObject
) -> None:
    count = len(weights)
    failed = tuple(data.draw(st.sets(st.integers(0, count - 1))))
    settles = data.draw(st.booleans())
    selection = select(policy, np.array(weights), always if settles else never)

    said: dict[int, FloatArray | None] = {}
    everyone = known(count, failed)
    while members := selection.next_round(said):
        assert not set(members) & set(said)
        said |= {member: everyone[member] for member in members}

    assert said
    if any(scores is None for scores in said.values()):
        assert set(said) == set(range(count))
    assert said == replayed(selection, everyone)
