"""Was every request answered, and was nothing committed too early? Told by Kafka's topics alone.

Knows nothing of the workers: it is handed what was asked, and reads what the broker has stored.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import orjson
from aiokafka import TopicPartition

from tests.support.task_topics import responses_to
from tests.support.topics import Offsets, Position, Stored, read_all


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the requests.

    lost:       ids without a response
    duplicates: ids with more than one
    wrong:      ids whose responses differ in `result`
    not_ok:     ids whose response is not `ok`
    strangers:  responses with an id that nobody asked
    in_chunks:  ids answered out of more than one chunk
    """

    asked: int
    answered: int
    in_chunks: tuple[str, ...]
    lost: tuple[str, ...]
    duplicates: tuple[str, ...]
    wrong: tuple[str, ...]
    not_ok: tuple[str, ...]
    strangers: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Each of them as a number."""
        return {
            name: found if isinstance(found, int) else len(found)
            for name, found in asdict(self).items()
        }

    @property
    def good(self) -> bool:
        """Each is answered, `ok` and always alike."""
        return not (self.lost or self.wrong or self.not_ok or self.strangers)


def totals(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Their counts, added up."""
    found: Counter[str] = Counter()
    for verdict in verdicts:
        found.update(verdict.counts())
    return dict(found)


async def verify(
    bootstrap_servers: str, asked: Mapping[str, Iterable[str]], start: Offsets
) -> dict[str, Verdict]:
    """Read the responses from `start` to the end as it is now, and judge each request topic.

    asked: ids by request topic
    start: of each topic of responses to these
    """
    topics = sorted(set(map(responses_to, asked)))
    return judge_each(asked, await read_all(bootstrap_servers, topics, start))


def judge_each(
    asked: Mapping[str, Iterable[str]], responses: Iterable[Stored]
) -> dict[str, Verdict]:
    """What became of the requests of each topic; ids by request topic."""
    found: dict[str, list[Stored]] = defaultdict(list)
    for response in responses:
        origin, place = response.origin[0], response.position[0]
        # One that lies where another task's responses belong is nobody's answer.
        found[origin if place == responses_to(origin) else place].append(response)
    return {topic: judge(asked.get(topic, ()), found[topic]) for topic in {**asked, **found}}


def judge(ids: Iterable[str], responses: Iterable[Stored]) -> Verdict:
    """What became of the requests of these ids."""
    asked = set(ids)
    by_id: dict[str, list[bytes]] = defaultdict(list)
    not_ok, strangers, in_chunks = set(), set(), set()
    for response in responses:
        body = response.body
        if body["id"] not in asked:
            strangers.add(body["id"])
            continue
        if body["status"] != "ok":
            not_ok.add(body["id"])
        elif body["coverage"]["chunks"] > 1:
            in_chunks.add(body["id"])
        by_id[body["id"]].append(orjson.dumps(body.get("result")))
    return Verdict(
        asked=len(asked),
        answered=len(by_id),
        in_chunks=tuple(sorted(in_chunks)),
        lost=tuple(sorted(asked - by_id.keys())),
        duplicates=tuple(sorted(name for name, found in by_id.items() if len(found) > 1)),
        wrong=tuple(sorted(name for name, found in by_id.items() if len(set(found)) > 1)),
        not_ok=tuple(sorted(not_ok)),
        strangers=tuple(sorted(strangers)),
    )


def twice_by_cause(
    times: Mapping[Position, int],
    seen: Iterable[tuple[Mapping[TopicPartition, int], set[Position]]],
) -> dict[str, int]:
    """Requests that were answered more than once, by what the group had committed of them.

    times: how often each was answered
    seen:  after each act: what was committed, and what was answered and not committed
    """
    causes: dict[Position, str] = {}
    for committed, uncommitted in seen:
        for topic, partition, offset in uncommitted:
            first = committed.get(TopicPartition(topic, partition), 0)
            before = ((topic, partition, at) for at in range(first, offset))
            behind = all(at in uncommitted for at in before)
            cause = "since the last commit" if behind else "above the low watermark"
            causes[topic, partition, offset] = cause
    twice = (position for position, count in times.items() if count > 1)
    return dict(Counter(causes.get(position, "a rebalance") for position in twice))


def committed_too_early(
    committed: Mapping[TopicPartition, int], start: Offsets, answered: set[Position]
) -> list[Position]:
    """Requests below a committed offset that have no stored response; there must be none.

    committed: taken before the responses that `answered` was told by were read
    """
    return [
        (tp.topic, tp.partition, offset)
        for tp, end in committed.items()
        for offset in range(start.get(tp, 0), end)
        if (tp.topic, tp.partition, offset) not in answered
    ]
