"""Small runs of the commands that try to break workers; each command's own is a large one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.books import read_aloud
from tests.acceptance.hostile import run_hostile_alone
from tests.acceptance.ordering import differing, results_of_runs, results_through_kafka
from tests.acceptance.outage import run_outage
from tests.chaos.faults.fault import Fault
from tests.chaos.faults.of_workers import Killed, Terminated
from tests.chaos.loads.tasks import Tasks
from tests.chaos.place import place
from tests.chaos.run import Run
from tests.chaos.table import is_good
from tests.support.cluster import cluster
from tests.support.hostile_records import kinds_count
from tests.support.served import Served
from tests.support.small_ensembles import SMALL, write_small_ensembles
from tests.support.task_topics import request_topics
from tests.support.texts import sample_texts
from tests.support.topics import BULK
from tests.support.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A small ensemble for every task."""
    root = tmp_path_factory.mktemp("models")
    write_small_ensembles(root, SMALL)
    return Served(tuple(SMALL), root)


async def test_killing_and_terminating_workers_of_all_tasks_at_any_moment_loses_nothing(
    small: Served, tmp_path: Path
) -> None:
    faults: list[Fault] = [Killed(), Terminated(), Killed()]
    async with place(tmp_path / "run", 1, 2, Tasks(small), {}, print) as scene:
        running = Run(scene, requests=360, a_second=20, is_hasty=True)
        failures = await running.all(faults)
        verdict = await running.verified(tmp_path / "asked.jsonl")
    assert failures == []
    assert verdict.first_wrong == []
    assert is_good(verdict, running.windows, is_once=False)
    assert verdict.answered == verdict.asked >= 360
    assert sorted(verdict.kinds) == sorted(request_topics(small.tasks))
    for topic, kinds in verdict.kinds.items():
        # A prompt is one chunk, however long.
        assert ("several chunks" in kinds) == ("generation" not in topic)


async def test_every_hostile_record_ends_as_the_table_says_and_every_good_one_is_ok(
    small: Served,
) -> None:
    found = await run_hostile_alone(small, good=120, bad=kinds_count(small.tasks))

    assert found["faults"] == []
    assert found["kinds"] == kinds_count(small.tasks)
    assert all(figures["good"] == 20 for figures in found["tasks"].values())


@pytest.mark.nightly
async def test_a_broker_that_goes_away_under_load_is_told_about_and_everything_is_answered() -> (
    None
):
    async with cluster() as kafka:
        outage = await run_outage(kafka, seconds=5, a_second=30, before_s=2)
    assert outage.said_so_s is not None, "the worker was ready all the while"
    assert any("Kafka" in reason for reason in outage.reasons)
    assert (outage.lost, outage.wrong) == (0, 0)
    assert outage.same_worker
    # Five seconds; it was 8,000 a second before clients waited between their attempts.
    assert outage.log_lines < 1000


@pytest.mark.nightly
def test_results_are_the_same_to_the_byte_in_any_order_and_load(
    tmp_path: Path, at_kafka: dict[str, str]
) -> None:
    # The last ten are the longest; repeated, so that some are of several chunks.
    texts = [*sample_texts()[:50], *(" ".join([text] * 4) for text in sample_texts()[-10:])]
    requests = [{"text": text} for text in texts]
    found = results_of_runs("text-classification", requests, tmp_path)
    asked = results_through_kafka("text-classification", requests, tmp_path, at_kafka)
    found["through Kafka"] = asked
    assert differing(found) == []
    assert {len(results) for results in found.values()} == {60}


@pytest.mark.nightly
async def test_a_text_of_200000_characters_is_covered_whole_and_short_ones_overtake_it(
    kafka: str, worker: WorkerProcess
) -> None:
    sentences = sample_texts()
    text = "\n".join(sentences * (200_000 // sum(map(len, sentences)) + 1))
    reading = await read_aloud(kafka, [text], BULK, a_second=20)
    assert reading.whole() == [True]
    assert reading.answers[0]["coverage"]["characters"] == len(text) > 200_000
    # Each was asked after the long one, and asking ends once that is answered.
    assert len(reading.latencies_ms) > 3
    assert worker.exit_code is None
