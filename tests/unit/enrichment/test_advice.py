from __future__ import annotations

from typing import Any

import pytest

from streamproc.enrichment.advice import advice_for_workers, advice_on
from streamproc.enrichment.catalogue import UsedTopic, topics_of_routes
from streamproc.enrichment.route import Route

MOOD = {"name": "mood", "task": "text-classification", "ensemble": "sentiment", "text": "/body"}


def route(place: str = "/mood", **fields: Any) -> Route:
    described = {
        "kind": "route", "name": "shop", "description": "what is tested here", "meta": "/run",
        "from": {"topics": ["in"]}, "to": {"topic": "out"}, "dlq": "dead",
        "answers": [{**MOOD, "to": place}], **fields,
    }  # fmt: skip
    return Route.model_validate(described)


@pytest.mark.parametrize(
    ("to", "pointer"), [("nlp.mood", "/nlp/mood"), (".nlp.mood", "/nlp/mood"), ("a.b.c", "/a/b/c")]
)
def test_a_name_with_dots_is_told_as_what_it_is_with_the_pointer_that_may_be_meant(
    to: str, pointer: str
) -> None:
    (said,) = advice_on(route(to))
    assert said == (
        f"answers: mood: to: {to} is the name of one member, beside each text; "
        f"a place within the event is a pointer, as in to: {pointer}"
    )


@pytest.mark.parametrize("to", ["mood", "/nlp/mood", "/nlp.v1/mood"])
def test_other_places_are_nothing_to_look_at(to: str) -> None:
    assert advice_on(route(to)) == []


@pytest.mark.parametrize("form", ["avro", "json-schema"])
def test_a_registry_that_is_needed_and_not_named_is_told(form: str) -> None:
    given: dict[str, Any] = {"from": {"topics": ["in"], "format": form}}
    needing = route(**given)
    (said,) = advice_for_workers(needing, None)
    assert said == (
        f"from.format: {form} needs a schema registry where a worker runs, and "
        "STREAMPROC_SCHEMA_REGISTRY_URL is not set"
    )
    assert advice_for_workers(needing, "http://registry:8081") == advice_on(needing) == []


def test_topics_of_routes_are_named_once_with_the_routes_that_use_them() -> None:
    first = route(topic_partitions=3)
    given: dict[str, Any] = {
        "name": "next", "from": {"topics": ["out", "in"]}, "to": {"topic": "last"}, "dlq": "dead",
    }  # fmt: skip
    second = route(**given)
    assert topics_of_routes([first, second]) == [
        UsedTopic("dead", "dlq", ("shop", "next"), 12),
        UsedTopic("in", "events", ("shop", "next"), None),
        UsedTopic("last", "enriched", ("next",), 12),
        UsedTopic("out", "enriched", ("shop",), 3),
    ]
