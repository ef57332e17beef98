"""How large batches may get that once were too large for the memory there was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamproc.serving.batch_limit import TRIED_AGAIN_AFTER, BatchLimit


def largest_allowed(limit: BatchLimit, most: int = 1 << 20) -> int:
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if limit.allows(middle) else (low, middle - 1)
    return low


def test_what_there_is_memory_for_again_is_run_again() -> None:
    limit = BatchLimit("m")
    limit.no_memory(1_000)
    assert largest_allowed(limit) == 500

    for _ in range(TRIED_AGAIN_AFTER - 1):
        limit.passed(500)
    assert not limit.allows(1_000)
    limit.passed(500)

    assert limit.allows(1_000)


def test_small_batches_do_not_say_that_larger_ones_would_pass() -> None:
    limit = BatchLimit("m")
    limit.no_memory(1_000)

    for _ in range(10 * TRIED_AGAIN_AFTER):
        limit.passed(100)

    assert not limit.allows(501)


@given(room=st.integers(1, 1_000), wanted=st.integers(1, 1_000))
def test_of_many_batches_few_are_tried_for_which_there_is_no_memory(room: int, wanted: int) -> None:
    limit, failed, tried = BatchLimit("m"), 0, 0
    for _ in range(2_000):
        size = wanted
        while size > 1 and not limit.allows(size):
            size = (size + 1) // 2
        tried += 1
        if size <= room or size == 1:
            limit.passed(size)
        else:
            failed += 1
            limit.no_memory(size)

    assert failed <= 10 + tried / TRIED_AGAIN_AFTER
    assert limit.allows(min(wanted, room) // 4 or 1)
