from __future__ import annotations

import numpy as np

from streamproc.serving.inference.cache_rows import KVBuffer


def test_memory_is_used_again_from_step_to_step() -> None:
    memory = KVBuffer()
    first = memory.tensor(0, 0, (4, 2, 32, 8), np.float32)
    second = memory.tensor(0, 0, (3, 2, 32, 8), np.float32)

    assert np.shares_memory(first, second)


def test_a_burst_does_not_keep_its_memory_once_it_is_over() -> None:
    memory = KVBuffer()
    memory.tensor(0, 0, (64, 2, 1024, 8), np.float32)

    left = memory.tensor(0, 0, (1, 2, 32, 8), np.float32)

    assert held(left) <= 4 * left.nbytes


def test_lots_that_are_no_more_keep_no_memory() -> None:
    memory = KVBuffer()
    first, second = (memory.tensor(lot, 0, (4, 2, 32, 8), np.float32) for lot in (0, 1))
    memory.keep(1)

    assert np.shares_memory(memory.tensor(0, 0, (4, 2, 32, 8), np.float32), first)
    assert not np.shares_memory(memory.tensor(1, 0, (4, 2, 32, 8), np.float32), second)


def held(tensor: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> int:
    """Bytes of the block that a tensor is a part of."""
    while isinstance(tensor.base, np.ndarray):
        tensor = tensor.base
    return tensor.nbytes
