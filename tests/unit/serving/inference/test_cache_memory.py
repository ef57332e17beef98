from __future__ import annotations

import numpy as np

from streamproc.serving.inference.cache_rows import claim_block
from tests.support.growing_caches import GrowingCaches


def test_memory_is_used_again_from_step_to_step() -> None:
    caches = GrowingCaches()
    for tokens in (3, 20, 7):
        caches.start(tokens)

    blocks = {id(caches.step()) for _ in range(12)}

    assert len(blocks) == 1
    caches.check()


def test_a_row_that_leaves_and_one_that_comes_are_no_reason_to_lay_others_out_anew() -> None:
    caches = GrowingCaches()
    for tokens in (3, 5, 7, 9):
        caches.start(tokens)
    block = caches.step()

    caches.leave(1)
    assert caches.step() is block
    caches.leave(0)
    caches.start(11)
    caches.start(2)
    assert caches.step() is block
    caches.check()


def test_a_burst_does_not_keep_its_memory_once_it_is_over() -> None:
    caches = GrowingCaches()
    for _ in range(64):
        caches.start(900)
    caches.step()
    caches.leave(*range(1, 64))

    left = caches.step()

    assert held_bytes(left.caches(1)[0]) <= 4 * left.caches(1)[0].nbytes


def test_rows_that_have_become_short_do_not_keep_the_columns_of_a_long_one() -> None:
    caches = GrowingCaches()
    caches.start(900)
    caches.start(5)
    caches.step()
    caches.leave(0)

    assert caches.step().columns == 32


def test_a_block_outlives_the_columns_that_it_may_move_on_by() -> None:
    caches = GrowingCaches()
    for tokens in range(1, 5):
        caches.start(tokens)

    for _ in range(600):
        caches.leave(0)
        caches.start(1)
        caches.step()

    caches.check()


def test_a_block_that_is_being_stepped_is_nobody_elses() -> None:
    caches = GrowingCaches()
    caches.start(3)
    caches.step()

    first, _ = claim_block(caches.rows)
    second, _ = claim_block(caches.rows)

    assert first is caches.rows[0].block
    assert second is not first


def test_a_row_keeps_its_tokens_while_a_step_behind_it_is_done_twice() -> None:
    caches = GrowingCaches()
    for tokens in (3, 5):
        caches.start(tokens)
    caches.step()
    rows, expected = list(caches.rows), list(caches.expected)

    caches.step()
    caches.rows, caches.expected = rows, expected

    caches.check()
    caches.step()
    caches.check()


def held_bytes(tensor: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> int:
    """Bytes of the block that a tensor is a part of."""
    while isinstance(tensor.base, np.ndarray):
        tensor = tensor.base
    return tensor.nbytes
