"""A short `make chaos`: one of each fault that needs no long wait, with either delivery."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.faults.catalogue import every_fault, in_rounds
from tests.chaos.loads.instant import Instant
from tests.chaos.place import place
from tests.chaos.run import Run
from tests.chaos.table import figures, is_good

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.nightly]


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
async def test_no_promise_is_broken_by_any_fault(tmp_path: Path, delivery: str) -> None:
    load = Instant()
    faults = in_rounds(every_fault(5, older=None, expendable=load.expendable), rounds=1, seed=1)
    async with place(tmp_path / "run", 1, 2, load, {"DELIVERY": delivery}, print) as scene:
        running = Run(scene, requests=1000, a_second=50, is_hasty=False)
        failures = await running.all(faults)
        verdict = await running.verified(tmp_path / "asked.jsonl")
    assert failures == []
    assert verdict.first_wrong == []
    assert is_good(verdict, running.windows, is_once=delivery == "exactly_once")
    lines = figures(verdict, running.windows)
    assert {line["fault"] for line in lines} == {"none yet", "all", *(one.name for one in faults)}
    assert verdict.asked >= 1000
