from __future__ import annotations

import argparse

import pytest

from benchmarks.pretend_device import LENGTHS, PretendDevice, measure


async def test_chunks_that_were_answered_are_counted_and_batches_full() -> None:
    asked = argparse.Namespace(seconds=0.2, threads=2, members=1)

    found = await measure(LENGTHS[0], 4, 2, asked)

    assert found.chunks_per_s > 0
    assert found.limit == pytest.approx(256 / 0.0080536)
    assert found.busy > 0


def test_a_device_is_busy_with_a_batch_for_its_tokens() -> None:
    device = PretendDevice()

    device.run(0)
    device.run(1000)

    assert device.busy_s == pytest.approx(0.0034)
