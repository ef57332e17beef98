"""How many members are left out while requests wait too long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamproc.serving.brown_out import FEWER_AFTER_S, MORE_AFTER_S, BrownOut


def test_one_after_another_is_left_out_and_comes_back_once_the_lag_is_half_the_objective() -> None:
    out, now_s = BrownOut(10.0), 100.0
    seen = []
    for lag_s in (5, 11, 12, 13, 9, 6, 5.1, 4.9, 4, 3):
        out.observe(lag_s, most=2, now_s=now_s)
        seen.append(out.left_out)
        now_s += MORE_AFTER_S
    assert seen == [0, 1, 2, 2, 2, 2, 2, 1, 0, 0]


def test_a_step_waits_to_see_what_the_last_one_did() -> None:
    out = BrownOut(10.0)
    assert out.observe(11, most=3, now_s=0) == 1
    assert out.observe(11, most=3, now_s=FEWER_AFTER_S / 2) == 0
    assert out.observe(11, most=3, now_s=FEWER_AFTER_S) == 1
    assert out.observe(0, most=3, now_s=FEWER_AFTER_S + MORE_AFTER_S / 2) == 0
    assert out.observe(0, most=3, now_s=FEWER_AFTER_S + MORE_AFTER_S) == -1


def test_an_ensemble_that_has_fewer_members_by_now_leaves_fewer_out_at_once() -> None:
    out = BrownOut(1.0, left_out=3)
    assert out.observe(100, most=1, now_s=0) == -2
    assert out.left_out == 1


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.integers(0, 4), st.floats(0, 10)), min_size=1, max_size=60
    )
)
def test_never_more_than_may_be_left_out_and_none_in_the_end_without_lag(
    steps: list[tuple[float, int, float]],
) -> None:
    out, now_s = BrownOut(10.0), 0.0
    for lag_s, most, after_s in steps:
        now_s += after_s
        before = out.left_out
        change = out.observe(lag_s, most, now_s)
        assert out.left_out == before + change
        assert 0 <= out.left_out <= most or (out.left_out <= before and change == 0)
        assert out.left_out <= most
    for _ in range(5):
        now_s += MORE_AFTER_S
        out.observe(0, 4, now_s)
    assert out.left_out == 0
