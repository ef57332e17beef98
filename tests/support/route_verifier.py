"""Did every event come out of the shipped route, to the byte? Told by Kafka's topics alone.

`python -m tests.support.route_verifier BOOTSTRAP_SERVERS SOURCE OUT DEAD_LETTERS` is a program of
its own that imports nothing of streamproc: it reads what went in and what came out, and exits with
1 where that does not fit together.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

import orjson

from tests.support.enriched_events import differences, is_enriched, readable
from tests.support.topics import Position, Stored, read_all

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class RouteVerdict:
    """What became of the events that went in.

    kinds:       events by what they should become: enriched, unmatched, tombstone, dead letter
    lost:        events that neither came out nor are a dead letter
    strangers:   records that were made of no event that went in
    changed:     events that came out with another byte outside of the answers, or wrong answers
    unlike:      events that came out twice, not the same to the byte
    duplicates:  records more than one of an event
    overtaken:   events that came out, the first time, behind a later one of their key
    first_wrong: what is wrong with the first of them
    """

    events: int
    kinds: dict[str, int]
    lost: int
    strangers: int
    changed: int
    unlike: int
    duplicates: int
    overtaken: int
    bytes_in: int
    bytes_out: int
    first_wrong: list[str]

    @property
    def good(self) -> bool:
        """Nothing lost, nothing changed, nothing made up, nothing out of its key's order."""
        wrong = self.lost, self.strangers, self.changed, self.unlike, self.overtaken
        return not any(wrong)


def judge_route(
    went_in: Iterable[Stored], came_out: Iterable[Stored], letters: Iterable[Stored]
) -> RouteVerdict:
    """What became of each event, by all that was made of it."""
    out = sorted(came_out, key=lambda record: record.position)
    made: dict[Position, list[tuple[str, Stored]]] = defaultdict(list)
    for topic, records in (("out", out), ("dead letters", letters)):
        for record in records:
            made[record.origin].append((topic, record))
    events = {event.position: event for event in went_in}
    kinds = {position: _kind(event) for position, event in events.items()}
    wrong = {
        position: [why for one in made[position] for why in _wrong(event, kinds[position], *one)]
        for position, event in events.items()
        if position in made
    }
    lost, strangers = events.keys() - made.keys(), made.keys() - events.keys()
    first_wrong = [f"{where}: {why}" for where, found in wrong.items() for why in found]
    first_wrong += [f"{where}: lost" for where in sorted(lost)]
    first_wrong += [f"{where}: nothing went in there" for where in sorted(strangers)]
    return RouteVerdict(
        events=len(events),
        kinds=dict(Counter(kinds.values())),
        lost=len(lost),
        strangers=len(strangers),
        changed=sum(map(bool, wrong.values())),
        unlike=sum(len({(topic, one.value) for topic, one in of}) > 1 for of in made.values()),
        duplicates=sum(len(of) - 1 for of in made.values()),
        overtaken=_overtaken(out),
        bytes_in=sum(len(event.value or b"") for event in events.values()),
        bytes_out=sum(len(of[0][1].value or b"") for of in made.values()),
        first_wrong=first_wrong[:_SHOWN],
    )


def _overtaken(out: Iterable[Stored]) -> int:
    """How many came out, the first time, behind a later one of their key. out: as they lie"""
    seen: set[Position] = set()
    latest: dict[tuple[bytes | None, object], Position] = {}
    found = 0
    for record in out:
        if record.key is None or record.origin in seen:
            continue
        seen.add(record.origin)
        line = record.key, record.origin[:-1]
        found += record.origin < latest.get(line, record.origin)
        latest[line] = max(record.origin, latest.get(line, record.origin))
    return found


def _kind(event: Stored) -> str:
    if event.value is None:
        return "tombstone"
    if not readable(event.value):
        return "dead letter"
    return "enriched" if is_enriched(event.value) else "unmatched"


def _wrong(event: Stored, kind: str, topic: str, made: Stored) -> Iterator[str]:
    """What is not right about a record that was made of an event."""
    if (topic == "dead letters") is not (kind == "dead letter"):
        why = {name: value for name, value in made.headers.items() if "-error-" in name}
        yield f"it should be {kind}, and went to {topic} {why or ''}"
        return
    if made.key != event.key:
        yield f"the key {event.key!r} became {made.key!r}"
    if not event.headers.items() <= made.headers.items():
        yield f"the headers {event.headers} became {made.headers}"
    if topic == "out" and made.timestamp_ms != event.timestamp_ms:
        yield f"the timestamp {event.timestamp_ms} became {made.timestamp_ms}"
    if kind == "enriched":
        yield from differences(event.value or b"", made.value or b"")
    elif made.value != event.value:
        yield f"it should be {kind}, and its bytes are others"


async def _read_and_judge(bootstrap_servers: str, topics: list[str]) -> RouteVerdict:
    return judge_route(*[await read_all(bootstrap_servers, [topic]) for topic in topics])


def verdict_of(told: Mapping[str, object]) -> RouteVerdict:
    """The verdict as the program prints it."""
    return RouteVerdict(**told)  # type: ignore[arg-type]


if __name__ == "__main__":
    found = asyncio.run(_read_and_judge(sys.argv[1], sys.argv[2:]))
    sys.stdout.buffer.write(orjson.dumps(asdict(found)) + b"\n")
    sys.exit(0 if found.good else 1)
