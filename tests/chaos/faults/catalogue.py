"""Which faults a run has, and in which order, by its seed."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from tests.chaos.faults.fault import Fault
from tests.chaos.faults.of_brokers import BrokerKilled, DiskFull, Outage
from tests.chaos.faults.of_connections import Flapping, Stalled, StalledAlone
from tests.chaos.faults.of_topics import PartitionsAdded, RecordsDeleted, TopicRemade
from tests.chaos.faults.of_workers import Killed, OtherVersion, Paused, Terminated


def every_fault(outage_s: float, older: Path | None, expendable: str | None) -> list[Fault]:
    """One of each that this machine can have: a limit on another process's files is Linux's.

    older: the tree of an older version; None: there is none, and no fault of two versions
    expendable: a topic that may lose records; None: there is none, and no fault that deletes any
    """
    faults: list[Fault] = [
        Killed(),
        Paused(),
        Terminated(),
        BrokerKilled(),
        Outage(0),
        Outage(outage_s),
        Stalled(),
        StalledAlone(),
        Flapping(),
        PartitionsAdded(),
    ]
    if expendable is not None:
        faults += [TopicRemade(expendable), RecordsDeleted(expendable)]
    if sys.platform == "linux":
        faults.append(DiskFull())
    if older is not None:
        faults.append(OtherVersion(older))
    return faults


def in_rounds(every: list[Fault], rounds: int, seed: int) -> list[Fault]:
    """Each of them in every round, in an order of chance."""
    draw = random.Random(f"order of {seed}")
    return [fault for _ in range(rounds) for fault in draw.sample(every, len(every))]


def so_many(
    every: list[Fault], seed: int, kills: int = 0, terms: int = 0, pauses: int = 0, others: int = 0
) -> list[Fault]:
    """So many of each kind, of the others each in turn, in an order of chance."""
    rest = [fault for fault in every if not isinstance(fault, Killed | Paused)]
    chosen: list[Fault] = [Killed()] * kills + [Paused()] * pauses + [Terminated()] * terms
    chosen += [rest[number % len(rest)] for number in range(others)]
    random.Random(f"order of {seed}").shuffle(chosen)
    return chosen
