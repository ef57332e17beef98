"""SIGTERM: what was taken is answered and committed, and nothing else is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from tests.support.isolation import describe_topics, make_topics
from tests.support.texts import short_texts
from tests.support.topics import Sent, committed, end_offsets, read_all, send, wait_until_committed
from tests.support.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
REQUESTS = 600


async def test_sigterm_answers_and_commits_what_was_taken_and_the_next_worker_goes_on(
    kafka: str, tmp_path: Path
) -> None:
    topics = describe_topics(kafka, tmp_path / "topics", "draining")
    await asyncio.to_thread(make_topics, topics)
    # So little in flight that most requests have not been taken when the signal comes.
    settings = {**topics.settings, "MAX_IN_FLIGHT_BYTES": str(1 << 20)}
    worker = WorkerProcess(kafka, "draining", tmp_path / "worker.log", settings)
    worker.start()
    try:
        await worker.wait_until_ready()
        positions = await send(
            kafka,
            [
                Sent(
                    orjson.dumps({"id": f"drain-{number}", "text": text}),
                    topics.requests,
                    key=str(number).encode(),
                )
                for number, text in enumerate(short_texts(REQUESTS))
            ],
        )
        while not sum((await end_offsets(kafka, topics.responses)).values()):
            assert worker.exit_code is None
            await asyncio.sleep(0.02)
        assert await worker.terminate() == 0

        passed = {
            (tp.topic, tp.partition, offset)
            for tp, end in (await committed(kafka, "draining")).items()
            for offset in range(end)
        }
        responses = await read_all(kafka, [topics.responses])
        answered = [response.origin for response in responses]
        assert set(answered) == passed
        assert len(answered) == len(passed)
        assert 0 < len(passed) < REQUESTS

        worker.start()
        await wait_until_committed(kafka, "draining", positions)
    finally:
        worker.stop()
    responses = await read_all(kafka, [topics.responses])
    assert sorted(response.origin for response in responses) == sorted(positions)
