"""Was every request answered, and was nothing committed too early? Told by Kafka's topics alone.

Knows nothing of the workers: it is handed what was asked, and reads what the broker has stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import orjson
from aiokafka import TopicPartition

from .topics import RESPONSES, Offsets, Position, Stored, read_all


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the requests.

    lost:       ids without a response
    duplicates: ids with more than one
    wrong:      ids whose responses differ in `result`
    not_ok:     ids whose response is not `ok`
    strangers:  responses with an id that nobody asked
    """

    asked: int
    answered: int
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


async def verify(bootstrap_servers: str, ids: Iterable[str], start: Offsets) -> Verdict:
    """Read the responses from `start` to the end as it is now, and judge."""
    return judge(ids, await read_all(bootstrap_servers, [RESPONSES], start))


def judge(ids: Iterable[str], responses: Iterable[Stored]) -> Verdict:
    """What became of the requests of these ids."""
    asked = set(ids)
    by_id: dict[str, list[bytes]] = defaultdict(list)
    not_ok, strangers = set(), set()
    for response in responses:
        body = response.body
        if body["id"] not in asked:
            strangers.add(body["id"])
            continue
        if body["status"] != "ok":
            not_ok.add(body["id"])
        by_id[body["id"]].append(orjson.dumps(body.get("result")))
    return Verdict(
        asked=len(asked),
        answered=len(by_id),
        lost=tuple(sorted(asked - by_id.keys())),
        duplicates=tuple(sorted(name for name, found in by_id.items() if len(found) > 1)),
        wrong=tuple(sorted(name for name, found in by_id.items() if len(set(found)) > 1)),
        not_ok=tuple(sorted(not_ok)),
        strangers=tuple(sorted(strangers)),
    )


def answered_positions(responses: Iterable[Stored]) -> set[Position]:
    """Where the requests lie that these responses answer."""
    return {response.origin for response in responses}


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
