"""Requests and events that a model answers at once, so that what is tried is delivery."""

from __future__ import annotations

from pathlib import Path

import orjson

from tests.chaos.asked import Source, sources_of
from tests.support.small_ensembles import write_small_ensembles
from tests.support.texts import short_text
from tests.support.topics import BULK, REQUESTS, TEXT_CLASSIFICATION, Sent

EVENTS, ENRICHED, LETTERS = "chaos.events.v1", "chaos.enriched.v1", "chaos.dlq.v1"

ROUTE = f"""\
kind: route
name: chaos
description: Events of an invented shop get their mood.
from:
  topics: [{EVENTS}]
  format: json
  lane: interactive
  start: earliest
answers:
  - name: mood
    task: text-classification
    ensemble: sentiment
    text: /body
    to: /nlp/mood
to:
  topic: {ENRICHED}
  key: same
  headers: same
meta: /nlp/run
dlq: {LETTERS}
"""

TOPICS = (REQUESTS, BULK, EVENTS, REQUESTS, EVENTS)
"""In turn."""
KEYS = 97
"""Keys of events, few enough that each has its order to keep."""
TEXTS = 2000


class Instant:
    """Requests of `text-classification` in both lanes, and events of a route."""

    sources = (*sources_of([TEXT_CLASSIFICATION]), Source(EVENTS, "moods", ENRICHED, LETTERS))
    expendable = BULK
    a_second = 100.0

    def prepare(self, folder: Path) -> dict[str, str]:
        write_small_ensembles(folder / "models", [TEXT_CLASSIFICATION])
        (folder / "routes").mkdir()
        (folder / "routes" / "chaos.yaml").write_text(ROUTE, "utf-8")
        folders = {"MODELS_DIR": str(folder / "models"), "ROUTES_DIR": str(folder / "routes")}
        return {"TASKS": TEXT_CLASSIFICATION, **folders}

    def record(self, name: str, number: int, topic: str | None) -> Sent:
        topic, text = topic or TOPICS[number % len(TOPICS)], short_text(number % TEXTS)
        if topic == EVENTS:
            body = orjson.dumps({"id": name, "body": text})
            return Sent(body, topic, key=b"%d" % (number % KEYS))
        return Sent(orjson.dumps({"id": name, "text": text}), topic, key=name.encode())
