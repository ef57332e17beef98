"""Was everything answered, once, and in its place? Told by Kafka's topics alone.

`python -m tests.chaos.verifier BOOTSTRAP_SERVERS FILE` is a program of its own that imports nothing
of streamproc: it is told by the file what was asked, and when each fault began, reads what the
brokers have, and prints for each fault what came of it.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson
from aiokafka import TopicPartition

from tests.chaos.asked import Asked, Told, id_of, outcomes_of, read
from tests.chaos.became import became
from tests.support.topics import Stored, read_all, reader

_SHOWN = 10


@dataclass(slots=True)
class Row:
    """What came of a fault: of what was sent since it began, and answered since.

    lost:  asked, and not answered
    gone:  the same, but Kafka deleted it first, by retention or with its topic
    twice: answers more than one, by when they came
    misplaced: answers in another topic, under another key, of another place than was asked, or,
        the first time, behind a later one of their key
    wrong: answers that are not what they should be, differ from an earlier one, or that nobody
        asked for
    """

    fault: str
    lost: int = 0
    gone: int = 0
    twice: int = 0
    misplaced: int = 0
    wrong: int = 0


@dataclass(slots=True)
class Verdict:
    """rows: one for each fault, in order
    kinds: of what came of each topic that was asked on, how many
    first_wrong: of what should not be, the first few
    """

    asked: int
    answered: int
    rows: list[Row]
    kinds: dict[str, dict[str, int]]
    first_wrong: list[str] = field(default_factory=list)


def judge(
    told: Told, stored: Iterable[Stored], begins: Mapping[TopicPartition, int] | None = None
) -> Verdict:
    """What came of each fault.

    stored: all that lies in the topics of answers and dead letters, and of a shop's events
    begins: where the topics that were asked on begin now; none: where they began
    """
    found = _Judgement(told, begins or {})
    events = {source.topic for source in told.sources}
    outcomes = []
    for record in stored:
        if record.position[0] in events:
            found.events[record.position] = record
        else:
            outcomes.append(record)
    for record in sorted(outcomes, key=lambda one: one.position):
        found.see(record)
    found.miss()
    return found.verdict


class _Judgement:
    def __init__(self, told: Told, begins: Mapping[TopicPartition, int]) -> None:
        self._asked = {one.id: one for one in told.asked}
        self._order = {one.id: number for number, one in enumerate(told.asked)}
        self._sources = {source.topic: source for source in told.sources}
        self._windows = told.windows
        self._begins = begins
        self.events: dict[tuple[str, int, int], Stored] = {}
        self._logs: dict[str, int] = defaultdict(int)
        for one in told.asked:
            self._logs[one.topic] = max(self._logs[one.topic], one.log)
        self._results: dict[str, bytes] = {}
        self._kinds: dict[str, Counter[str]] = defaultdict(Counter)
        self._latest: dict[tuple[str, str, int, str, int], int] = {}
        rows = [Row(window.fault) for window in told.windows]
        self.verdict = Verdict(len(told.asked), 0, rows, {})

    def see(self, record: Stored) -> None:
        """One record, each topic-partition's in order."""
        row = self._row_of(record)
        one = self._asked.get(id_of(record))
        if one is None:
            row.wrong += 1
            self._tell(f"{record.position}: nobody asked")
            return
        source = self._sources[one.topic]
        found = became(source, record, self.events.get((one.topic, one.partition, one.offset)))
        wrong = list(found.wrong)
        if is_first := one.id not in self._results:
            self._kinds[one.topic][found.kind] += 1
        else:
            row.twice += 1
        if self._results.setdefault(one.id, found.same) != found.same:
            wrong.append("is another answer than before")
        row.wrong += bool(wrong)
        misplaced = self._misplaced(record, one, is_first=is_first)
        row.misplaced += misplaced is not None
        for why in [*wrong, misplaced]:
            if why is not None:
                self._tell(f"{record.position}: {one.id} {why}")

    def miss(self) -> None:
        """Count those that nothing came of."""
        self.verdict.answered = len(self._results)
        self.verdict.kinds = {topic: dict(found) for topic, found in sorted(self._kinds.items())}
        for name, one in self._asked.items():
            if name in self._results:
                continue
            number = self._order[name]
            row = self._row(sum(window.sent <= number for window in self._windows))
            begin = self._begins.get(TopicPartition(one.topic, one.partition), 0)
            if one.log < self._logs[one.topic] or one.offset < begin:
                row.gone += 1
            else:
                row.lost += 1
                self._tell(f"{one.topic}:{one.partition}:{one.offset} ({name}) is lost")

    def _misplaced(self, record: Stored, one: Asked, *, is_first: bool) -> str | None:
        topic, source = record.position[0], self._sources[one.topic]
        if topic not in {source.answers, source.letters}:
            return "is in another topic"
        if record.origin != (one.topic, one.partition, one.offset):
            return f"is said to lie at {record.origin}"
        if record.key != one.key.encode():
            return f"has the key {record.key!r}"
        line = topic, one.key, one.log, one.topic, one.partition
        is_overtaken = is_first and one.offset < self._latest.get(line, 0)
        self._latest[line] = max(one.offset, self._latest.get(line, 0))
        return "came behind a later one of its key" if is_overtaken else None

    def _row_of(self, record: Stored) -> Row:
        topic, partition, offset = record.position
        place = f"{topic}:{partition}"
        return self._row(sum(window.ends.get(place, 0) <= offset for window in self._windows))

    def _row(self, begun: int) -> Row:
        return self.verdict.rows[max(0, begun - 1)]

    def _tell(self, what: str) -> None:
        if len(self.verdict.first_wrong) < _SHOWN:
            self.verdict.first_wrong.append(what)


def by_fault(rows: Iterable[Row]) -> dict[str, Row]:
    """Those of the same fault added up."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        found[row.fault].update({k: v for k, v in asdict(row).items() if k != "fault"})
    return {fault: Row(fault, **counts) for fault, counts in found.items()}


async def verify(bootstrap_servers: str, told: Told) -> Verdict:
    """Read what is there up to its end as it is now, and judge."""
    async with reader(bootstrap_servers, [source.topic for source in told.sources]) as consumer:
        begins = dict(await consumer.beginning_offsets(consumer.assignment()))
    events = [source.topic for source in told.sources if source.holds == "shop"]
    stored = await read_all(bootstrap_servers, [*outcomes_of(told.sources), *events])
    return judge(told, stored, begins)


def verdict_of(told: bytes) -> Verdict:
    """The verdict as the program prints it."""
    found = orjson.loads(told)
    return Verdict(**{**found, "rows": [Row(**row) for row in found["rows"]]})


if __name__ == "__main__":
    verdict = asyncio.run(verify(sys.argv[1], read(Path(sys.argv[2]))))
    sys.stdout.buffer.write(orjson.dumps(asdict(verdict)) + b"\n")
