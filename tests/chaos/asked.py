"""What was sent, and what happened meanwhile, as the verifier is told of it by a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import orjson

from tests.support.task_topics import topics_of
from tests.support.topics import Stored

ID_HEADER = "chaos-id"
"""Of a shop's events, whose bodies are nobody's to add an id to."""


@dataclass(frozen=True, slots=True)
class Source:
    """A topic that is asked on.

    holds:   requests; short events of a route that asks for a mood; those of an invented shop
    answers: where what comes of them belongs
    letters: where what can't be answered belongs
    """

    topic: str
    holds: Literal["requests", "moods", "shop"]
    answers: str
    letters: str


def sources_of(tasks: Iterable[str]) -> list[Source]:
    """Both lanes of each task."""
    return [
        Source(topic, "requests", *topics.outcomes)
        for topics in map(topics_of, tasks)
        for topic in topics.lanes
    ]


def outcomes_of(sources: Iterable[Source]) -> list[str]:
    """The topics that hold what came of all that was asked."""
    return sorted({topic for source in sources for topic in (source.answers, source.letters)})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request or event, and where it lies.

    log: how often its topic had been made again before
    """

    id: str
    key: str
    topic: str
    partition: int
    offset: int
    log: int = 0


@dataclass(slots=True)
class Window:
    """A fault, and what follows until the next one.

    sent: how many had been sent when it began
    ends: of the topics of answers by then, by `topic:partition`
    too_early: requests found below a committed offset without an answer
    by_itself: times that a worker ended that nobody had ended
    first_answer_s, lag_back_s: from when the fault was over; None: not waited for
    """

    fault: str
    sent: int
    ends: dict[str, int]
    too_early: int = 0
    by_itself: int = 0
    first_answer_s: float | None = None
    lag_back_s: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """All that the verifier knows before it reads; windows: at least one"""

    sources: list[Source]
    windows: list[Window]
    asked: list[Asked]


def id_of(record: Stored) -> str:
    """The id of what was asked; empty where a record has none."""
    if ID_HEADER in record.headers:
        return record.headers[ID_HEADER].decode()
    try:
        return str(record.body.get("id", ""))
    except ValueError:
        return ""


def write(file: Path, told: Told) -> None:
    """As JSON, each of those asked a line."""
    lines = [orjson.dumps([asdict(one) for one in part]) for part in (told.sources, told.windows)]
    lines += [orjson.dumps(asdict(one)) for one in told.asked]
    file.write_bytes(b"\n".join(lines))


def read(file: Path) -> Told:
    """What `write` wrote."""
    sources, windows, *asked = map(orjson.loads, file.read_bytes().split(b"\n"))
    return Told(
        [Source(**source) for source in sources],
        [Window(**window) for window in windows],
        [Asked(**one) for one in asked],
    )
