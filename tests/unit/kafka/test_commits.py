"""Budgets, commits and security options, without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import uuid4

import pytest

from streamproc.errors import SettingsError
from streamproc.kafka.byte_budget import REQUEST_OVERHEAD_BYTES, ByteBudget
from streamproc.kafka.commits import Committer, Position
from streamproc.kafka.offsets import OffsetTracker
from streamproc.kafka.security import connection_options, faust_credentials
from streamproc.messages.record import TopicPartition
from streamproc.settings import read_settings

TP = TopicPartition("t", 0)


class StillClock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class Commits:
    """Remembers what was committed; refuses while `refuses`."""

    def __init__(self) -> None:
        self.seen: list[dict[TopicPartition, int]] = []
        self.refuses = False
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(
        self, positions: Mapping[TopicPartition, Position]
    ) -> Mapping[TopicPartition, Position]:
        await self.open.wait()
        if self.refuses:
            return {}
        self.seen.append({tp: position.offset for tp, position in positions.items()})
        return positions


class NoMarks:
    """Nothing is kept beside offsets."""

    def metadata(self, tp: TopicPartition, *, moved: bool = False) -> str | None:
        return "" if moved else None

    def committed(self, tp: TopicPartition) -> int | None:
        return None

    def stored(self, tp: TopicPartition, metadata: str) -> None:
        pass


def finish(tracker: OffsetTracker, offset: int) -> None:
    delivery = tracker.deliver(TP, offset, 1)
    assert delivery is not None
    tracker.finish(delivery)


def committer() -> tuple[OffsetTracker, Commits, StillClock, Committer]:
    tracker, commits, clock = OffsetTracker(), Commits(), StillClock()
    tracker.assign([TP], 1)
    return tracker, commits, clock, Committer(tracker, commits, clock, NoMarks())


async def test_a_low_watermark_is_committed_once() -> None:
    tracker, commits, _, committing = committer()
    finish(tracker, 4)
    await committing.commit()
    await committing.commit()
    assert commits.seen == [{TP: 5}]


async def test_commits_do_not_overtake_one_another() -> None:
    tracker, commits, _, committing = committer()
    commits.open.clear()
    finish(tracker, 0)
    first = asyncio.create_task(committing.commit())
    await asyncio.sleep(0)
    finish(tracker, 1)
    second = asyncio.create_task(committing.commit())
    commits.open.set()
    await asyncio.gather(first, second)
    assert commits.seen == [{TP: 1}, {TP: 2}]


async def test_time_behind_counts_from_the_first_finish_until_the_commit() -> None:
    tracker, commits, clock, committing = committer()
    commits.refuses = True
    finish(tracker, 0)
    committing.note()
    clock.now_s = 7
    await committing.commit()
    assert committing.behind_s() == 7
    commits.refuses = False
    await committing.commit()
    assert committing.behind_s() == 0


async def test_after_a_new_assignment_the_same_offset_is_committed_again() -> None:
    tracker, commits, _, committing = committer()
    finish(tracker, 0)
    await committing.commit()
    committing.forget()
    await committing.commit()
    assert commits.seen == [{TP: 1}, {TP: 1}]


COST = REQUEST_OVERHEAD_BYTES + 10


def taken_until_full(budget: ByteBudget) -> int:
    """How many requests of ten bytes it takes for the budget to be full."""
    return next(count for count in range(1, 1000) if budget.take(10))


def test_a_budget_begins_small_and_grows_by_what_is_finished() -> None:
    budget = ByteBudget(64 * COST)
    assert taken_until_full(budget) == 3
    assert [budget.give_back(10) for _ in range(2)] == [True, False]
    assert taken_until_full(budget) == 4
    for _ in range(200):
        budget.give_back(10)
        taken_until_full(budget)
    assert budget.in_flight_bytes == 65 * COST


def give_all_back(budget: ByteBudget) -> None:
    while budget.in_flight_bytes:
        budget.give_back(10)


def test_a_budget_that_was_idle_begins_anew() -> None:
    budget = ByteBudget(64 * COST)
    for _ in range(50):
        taken_until_full(budget)
        budget.give_back(10)
    give_all_back(budget)
    budget.take(10)
    give_all_back(budget)
    assert not budget.is_full
    assert taken_until_full(budget) == 3


def test_a_budget_goes_on_growing_though_all_that_filled_it_is_finished_in_one_go() -> None:
    budget = ByteBudget(64 * COST)
    taken = []
    for _ in range(6):
        taken.append(taken_until_full(budget))
        give_all_back(budget)
    assert taken == [3, 6, 12, 24, 48, 65]


def test_sasl_options_reach_every_client() -> None:
    secret = uuid4().hex
    settings = read_settings(
        kafka_bootstrap_servers="a:1, b:2",
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_sasl_username="u",
        kafka_sasl_password=secret,
    )
    options = connection_options(settings)
    assert options["bootstrap_servers"] == ["a:1", "b:2"]
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert options["sasl_plain_password"] == secret
    credentials = faust_credentials(settings)
    assert credentials is not None
    assert credentials.protocol.value == "SASL_PLAINTEXT"
    assert credentials.mechanism.value == "SCRAM-SHA-512"


def test_ssl_without_files_uses_the_machines_authorities() -> None:
    settings = read_settings(kafka_security_protocol="SSL")
    assert connection_options(settings)["ssl_context"] is not None
    credentials = faust_credentials(settings)
    assert credentials is not None
    assert credentials.protocol.value == "SSL"


def test_sasl_without_a_user_names_the_settings() -> None:
    settings = read_settings(kafka_security_protocol="SASL_SSL")
    with pytest.raises(SettingsError, match="STREAMPROC_KAFKA_SASL_USERNAME"):
        connection_options(settings)


def test_a_missing_certificate_names_the_settings() -> None:
    settings = read_settings(kafka_security_protocol="SSL", kafka_ssl_cafile="/nowhere/ca.pem")
    with pytest.raises(SettingsError, match="STREAMPROC_KAFKA_SSL"):
        connection_options(settings)
