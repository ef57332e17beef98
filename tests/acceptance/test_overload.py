"""More load than a worker can bear, in short; `tests.acceptance.overload` is the long one."""

from __future__ import annotations

import pytest

from tests.acceptance.overload import faults_of, run_overload
from tests.support.cluster import cluster

pytestmark = [pytest.mark.kafka, pytest.mark.nightly]

# No time is asserted: how long interactive requests take is the machine's to say.
ANY_MS = 1_000_000


async def test_nothing_is_lost_memory_stays_and_what_is_late_costs_no_model_anything() -> None:
    async with cluster() as kafka:
        figures, looks, latencies = await run_overload(kafka, seconds=15, times=5)

    assert faults_of(figures, ANY_MS) == []
    assert figures["ended"]["past"] == {"deadline": figures["sent"]["past"]}
    assert len(latencies) == figures["sent"]["interactive"]
    assert looks
