"""What was sent, and what happened meanwhile, as the verifier is told of it by a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

REQUESTS, BULK = "nlp.text-classification.requests.v1", "nlp.text-classification.bulk.v1"
RESPONSES, LETTERS = "nlp.text-classification.responses.v1", "nlp.text-classification.dlq.v1"
EVENTS, ENRICHED, EVENT_LETTERS = "chaos.events.v1", "chaos.enriched.v1", "chaos.dlq.v1"

ANSWERS_OF = {REQUESTS: RESPONSES, BULK: RESPONSES, EVENTS: ENRICHED}
"""Where what comes of a topic's records belongs."""
OUTCOMES = (RESPONSES, LETTERS, ENRICHED, EVENT_LETTERS)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request or event, and where it lies.

    log: how often its topic had been made again before
    """

    id: str
    key: str
    topic: str
    log: int
    partition: int
    offset: int


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


def write(file: Path, asked: list[Asked], windows: list[Window]) -> None:
    """As JSON, each of those asked a line."""
    lines = [orjson.dumps([asdict(window) for window in windows])]
    lines += [orjson.dumps(asdict(one)) for one in asked]
    file.write_bytes(b"\n".join(lines))


def read(file: Path) -> tuple[list[Asked], list[Window]]:
    """What `write` wrote."""
    first, *lines = file.read_bytes().split(b"\n")
    asked = [Asked(**orjson.loads(line)) for line in lines]
    return asked, [Window(**window) for window in orjson.loads(first)]
