"""One Kafka and one ready worker for all acceptance tests that don't break them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.settings import read_settings
from tests.support.cluster import apply_topics
from tests.support.topics import TEXT_CLASSIFICATION
from tests.support.ways_in import WaysIn, ways_into
from tests.support.worker_process import WorkerProcess


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap servers of a Kafka that has the shipped topics."""
    with EmbeddedBroker(cache_dir=read_settings().cache_dir) as broker:
        apply_topics(broker.bootstrap_servers)
        yield broker.bootstrap_servers


@pytest.fixture(scope="session")
def worker(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """The only worker that classifies texts on the shipped topics, otherwise with the defaults."""
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    process = WorkerProcess(kafka, "acceptance", log, {"TASKS": TEXT_CLASSIFICATION})
    process.start()
    try:
        asyncio.run(process.wait_until_ready())
        yield process
    finally:
        process.stop()


@pytest.fixture
def at_kafka(kafka: str, worker: WorkerProcess) -> dict[str, str]:
    """Settings of commands that are answered by the worker."""
    assert worker.exit_code is None, worker.last_words()
    return {"KAFKA_BOOTSTRAP_SERVERS": kafka}


@pytest.fixture
def requests_file(tmp_path: Path) -> Path:
    """Three good requests, a bad one, and one whose text is missing."""
    file = tmp_path / "requests.jsonl"
    file.write_text(
        '{"id": "a", "text": "a lovely film"}\n'
        '{"id": "b", "text": "a terrible film"}\n'
        "{not json\n"
        '{"id": "d"}\n'
        '{"id": "e", "text": "", "metadata": {"page": 3}}\n',
        encoding="utf-8",
    )
    return file


@pytest.fixture(scope="session")
def ways_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WaysIn]:
    """Every task over Kafka and over HTTP, with models that answer at once."""
    with ways_into(tmp_path_factory.mktemp("ways-in")) as opened:
        yield opened
