"""Four workers with names that outlive restarts, restarted in turn while requests come."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import orjson
import pytest

from tests.support.isolation import describe_topics, make_topics
from tests.support.texts import short_texts
from tests.support.topics import Sent, read_all, send, wait_until_committed
from tests.support.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.nightly]
WORKERS, ROUNDS, REQUESTS_A_ROUND = 4, 4, 200


def assignments(worker: WorkerProcess) -> int:
    """How often the worker was given topic-partitions, all its starts together."""
    lines = map(orjson.loads, worker.log.read_bytes().splitlines())
    return sum(line.get("event") == "topic-partitions assigned" for line in lines)


@pytest.mark.parametrize("named", [True, False], ids=["static", "dynamic"])
async def test_workers_restarted_in_turn_answer_everything(
    kafka: str, tmp_path: Path, *, named: bool
) -> None:
    group = f"rolling-{named}".lower()
    topics = describe_topics(kafka, tmp_path / "topics", group)
    await asyncio.to_thread(make_topics, topics)
    settings = {**topics.settings, "SESSION_TIMEOUT_S": "60"}
    workers = [
        WorkerProcess(
            kafka,
            group,
            tmp_path / f"{number}.log",
            settings | ({"GROUP_INSTANCE_ID": f"worker-{number}"} if named else {}),
        )
        for number in range(WORKERS)
    ]
    positions = []
    try:
        for worker in workers:
            worker.start()
            await worker.wait_until_ready(120)
        before = [assignments(worker) for worker in workers]
        for number, worker in enumerate(workers[:ROUNDS]):
            sent = asyncio.create_task(
                send(
                    kafka,
                    [
                        Sent(
                            orjson.dumps({"id": f"{number}-{row}", "text": text}),
                            topics.requests,
                            key=str(row).encode(),
                        )
                        for row, text in enumerate(short_texts(REQUESTS_A_ROUND))
                    ],
                )
            )
            assert await worker.terminate() == 0
            worker.start()
            await worker.wait_until_ready(120)
            positions += await sent
        await wait_until_committed(kafka, group, positions)
        after = [assignments(worker) for worker in workers]
    finally:
        for worker in workers:
            worker.stop()

    answered = Counter(response.origin for response in await read_all(kafka, [topics.responses]))
    assert sorted(answered) == sorted(positions)
    again = [late - early for early, late in zip(before, after, strict=True)]
    if named:
        # Each has begun once more, and nobody was given anything else meanwhile.
        assert again == [1] * WORKERS
        assert set(answered.values()) == {1}
    else:
        assert sum(again) > WORKERS
