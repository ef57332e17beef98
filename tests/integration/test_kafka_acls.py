"""What a worker is granted is what it needs, and without one of it a sentence says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from _pytest.mark import ParameterSet

from tests.support.authorized_kafka import AuthorizedKafka, Grant, authorized_kafka
from tests.support.cluster import apply_topics
from tests.support.topics import (
    BULK,
    DEAD_LETTERS,
    REQUESTS,
    RESPONSES,
    TEXT_CLASSIFICATION,
    Sent,
    end_offsets,
    read_all,
    send,
    wait_until_committed,
)
from tests.support.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"
BESIDE = {
    "nlp.cancels.v1": "Read",
    "streamproc.models.v1": "Read",
    "streamproc.experiments.v1": "Read",
    "streamproc.exposures.v1": "Write",
    "streamproc.state.v1": "Write",
}
"""Topics without which requests are answered all the same."""


def grants(group: str) -> list[Grant]:
    """All that docs/operations.md lists, for one task."""
    return [
        Grant("group", group, "Read"),
        *(Grant("topic", topic, "Read") for topic in (REQUESTS, BULK)),
        *(Grant("topic", topic, "Write") for topic in (RESPONSES, DEAD_LETTERS, "nlp.replies.v1")),
        *(Grant("topic", topic, operation) for topic, operation in BESIDE.items()),
        *(
            Grant("transactional-id", f"{group}-", operation, is_prefix=True)
            for operation in ("Write", "Describe")
        ),
    ]


def _nightly(*values: str) -> ParameterSet:
    """One that tells little that the others do not, and starts a worker as they do."""
    return pytest.param(*values, marks=pytest.mark.nightly)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthorizedKafka]:
    with authorized_kafka(tmp_path_factory.mktemp("authorized")) as running:
        apply_topics(running.open_servers)
        yield running


@asynccontextmanager
async def started(
    kafka: AuthorizedKafka, folder: Path, group: str, **settings: str
) -> AsyncIterator[WorkerProcess]:
    """A worker that logs in, and takes what is sent from now on."""
    worker = WorkerProcess(
        kafka.servers,
        group,
        folder / "worker.log",
        {"TASKS": TEXT_CLASSIFICATION, **kafka.login, **settings},
    )
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


async def answered(kafka: AuthorizedKafka, worker: WorkerProcess) -> set[str]:
    """The statuses of good requests, and the types of dead letters, of some that are sent now."""
    start = await end_offsets(kafka.open_servers, RESPONSES, DEAD_LETTERS)
    name = worker.group
    body = orjson.dumps({"id": name, "text": "a good film"})
    sent = [Sent(body), Sent(body, BULK), Sent(b"{", key=name.encode())]
    positions = await send(kafka.open_servers, sent)
    await wait_until_committed(kafka.open_servers, name, positions)
    stored = await read_all(kafka.open_servers, [RESPONSES, DEAD_LETTERS], start)
    own = [one for one in stored if one.origin in positions]
    return {
        one.body["status"]
        if one.position[0] == RESPONSES
        else one.headers["streamproc-error-type"].decode()
        for one in own
    }


async def until(true: Callable[[], bool], worker: WorkerProcess, within_s: float = 60) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not await asyncio.to_thread(true):  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.2)
    except TimeoutError:
        pytest.fail(f"{worker.health()}, exit {worker.exit_code}: {worker.last_words()}")


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
async def test_with_what_is_listed_everything_works(
    kafka: AuthorizedKafka, tmp_path: Path, delivery: str
) -> None:
    group = f"all-{delivery}"
    everything = grants(group)
    needless = [one for one in everything if one.resource == "transactional-id"]
    kafka.grant(everything, needless if delivery == "at_least_once" else ())

    async with started(kafka, tmp_path, group, DELIVERY=delivery) as worker:
        await worker.wait_until_ready()
        assert await answered(kafka, worker) == {"ok", "unreadable"}
        states = await end_offsets(kafka.open_servers, "streamproc.state.v1")
        assert sum(states.values()) > 0
        warned = [line for line in worker.log.read_text().splitlines() if '"warning"' in line]
        assert not [line for line in warned if "can't be read" in line or "published" in line]


@pytest.mark.parametrize(
    "topic",
    [REQUESTS, RESPONSES, *(_nightly(topic) for topic in (BULK, DEAD_LETTERS, "nlp.replies.v1"))],
)
async def test_without_a_topic_that_it_needs_it_ends_and_says_which(
    kafka: AuthorizedKafka, tmp_path: Path, topic: str
) -> None:
    group = f"no-{topic}"
    kafka.grant(grants(group), [one for one in grants(group) if one.name == topic])

    async with started(kafka, tmp_path, group) as worker:
        await until(lambda: worker.exit_code is not None, worker)
        assert worker.exit_code == 2, worker.last_words()
        said = worker.last_words()

    assert f"error: this user may not use topic {topic}: an ACL is missing" in said
    assert "Traceback" not in said


async def test_where_it_may_see_requests_and_not_read_them_it_ends_and_says_so(
    kafka: AuthorizedKafka, tmp_path: Path
) -> None:
    kept = [one for one in grants("sees") if one.name != REQUESTS]
    kafka.grant([*kept, Grant("topic", REQUESTS, "Describe")])

    async with started(kafka, tmp_path, "sees") as worker:
        await until(lambda: worker.exit_code is not None, worker)
        assert worker.exit_code == 2, worker.last_words()
        assert f"error: this user may not read topic {REQUESTS}: an ACL" in worker.last_words()


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        (RESPONSES, f"topic {RESPONSES}: this user may not write it"),
        _nightly(DEAD_LETTERS, f"topic {DEAD_LETTERS}: this user may not write it"),
    ],
)
async def test_where_it_may_see_a_topic_and_not_write_it_is_not_ready_and_says_why(
    kafka: AuthorizedKafka, tmp_path: Path, topic: str, reason: str
) -> None:
    group = f"sees-{topic}"
    kept = [one for one in grants(group) if one.name != topic]
    kafka.grant([*kept, Grant("topic", topic, "Describe")])

    async with started(kafka, tmp_path, group) as worker:
        await send(kafka.open_servers, [Sent(b'{"id": "x", "text": 1}')])
        await until(lambda: reason in str(worker.health()["reasons"]), worker)
        kafka.grant(grants(group))
        # It may be granted at any time.
        await worker.wait_until_ready()
        assert await answered(kafka, worker) == {"ok", "unreadable"}


async def test_without_the_group_it_is_not_ready_and_says_why(
    kafka: AuthorizedKafka, tmp_path: Path
) -> None:
    kafka.grant(grants("no-group"), [Grant("group", "no-group", "Read")])

    async with started(kafka, tmp_path, "no-group") as worker:
        reason = "this user may not read with the group: an ACL is missing"
        await until(lambda: reason in str(worker.health()["reasons"]), worker)


@pytest.mark.parametrize(
    "topic", ["nlp.cancels.v1", *(_nightly(topic) for topic in BESIDE if topic != "nlp.cancels.v1")]
)
async def test_without_a_topic_beside_requests_are_answered_and_the_log_says_it_once(
    kafka: AuthorizedKafka, tmp_path: Path, topic: str
) -> None:
    group = f"beside-{topic}"
    kafka.grant(grants(group), [one for one in grants(group) if one.name == topic])

    async with started(kafka, tmp_path, group) as worker:
        await worker.wait_until_ready()
        assert await answered(kafka, worker) == {"ok", "unreadable"}
        lines = worker.log.read_text("utf-8").splitlines()

    told = [line for line in lines if topic in line and '"warning"' in line]
    # Exposures are written only where there is an experiment.
    assert len(told) == (topic != "streamproc.exposures.v1")
    assert all("ACL" in line for line in told)


@pytest.mark.nightly
async def test_where_it_may_see_what_is_promoted_and_not_read_it_it_takes_no_requests(
    kafka: AuthorizedKafka, tmp_path: Path
) -> None:
    topic = "streamproc.models.v1"
    kept = [one for one in grants("promoted") if one.name != topic]
    kafka.grant([*kept, Grant("topic", topic, "Describe")])

    async with started(kafka, tmp_path, "promoted") as worker:
        await until(lambda: "promoted versions can't be read" in worker.last_words(), worker)
        assert not await worker.is_ready()
        kafka.grant(grants("promoted"))
        await worker.wait_until_ready()
        assert await answered(kafka, worker) == {"ok", "unreadable"}


async def test_exactly_once_without_its_transactional_ids_ends_and_says_so(
    kafka: AuthorizedKafka, tmp_path: Path
) -> None:
    group = "no-transactions"
    everything = grants(group)
    kafka.grant(everything, [one for one in everything if one.resource == "transactional-id"])

    async with started(kafka, tmp_path, group, DELIVERY="exactly_once") as worker:
        await until(lambda: worker.exit_code is not None, worker)
        assert worker.exit_code == 2, worker.last_words()
        assert "transactional id" in worker.last_words()


def test_the_page_lists_what_is_tested() -> None:
    page = DOCS.read_text("utf-8")
    listed = page[page.index("## ACLs") : page.index("## Wrong credentials")]
    for grant in grants("<group>"):
        row = next(line for line in listed.splitlines() if f"`{grant.name}`" in line)
        assert grant.operation in row
