"""Dead letters of events: what of the event comes back at a replay, and what is said of it."""

from __future__ import annotations

import pytest

from streamproc.enrichment.dead_letters import original_event
from streamproc.errors import OperatorError
from streamproc.kafka.dead_letters import DeadLetter
from streamproc.messages.record import Headers, ProducerRecord, Record
from tests.support.route_scenes import MOOD, Scene

OWN: Headers = (
    ("a", b"1"),
    ("streamproc-request-topic", b"nlp.requests"),
    ("kafka_dlt-original-topic", b"orders"),
    ("streamproc-original-id", b"x"),
    ("streamproc-error-type", b"failed"),
    ("streamproc-error-original-left-out", b"true"),
    ("streamproc-route", b"another"),
    ("streamproc-event-headers", b"2"),
    ("kafka_dlt-exception-message", None),
    ("a", b"2"),
)


def refusing() -> Scene:
    return Scene({**MOOD, "on_missing": "dlq"})


def read(letter: ProducerRecord) -> DeadLetter:
    """The letter as it is read from its topic."""
    return DeadLetter(Record("dead", 0, 7, 2000, letter.key, letter.value, letter.headers))


@pytest.mark.parametrize("own", [(), OWN[:1], OWN, OWN[1:], OWN[4:5]])
async def test_a_replay_sends_all_headers_of_the_event_whatever_their_names(own: Headers) -> None:
    letter = read(await refusing().through("{}", own))

    assert letter.has_original
    assert original_event(letter, ["in"]) == ProducerRecord("in", b"key", b"{}", own)


async def test_what_a_letter_says_of_itself_counts_more_than_the_events_headers() -> None:
    sent = await refusing().through("{}", OWN)
    letter, said = read(sent), dict(sent.headers)

    assert (letter.request_topic, letter.type) == ("in", "invalid")
    assert letter.title == "answer mood: no text"
    assert said["streamproc-route"] == b"shop"
    assert said["kafka_dlt-original-topic"] == b"in"
    assert b"no text" in (said["kafka_dlt-exception-message"] or b"")


@pytest.mark.parametrize("own", [(), OWN])
async def test_an_event_that_fails_again_has_one_reason(own: Headers) -> None:
    first = await refusing().through("{}", own)
    again = original_event(read(first), ["in"])

    replayed = await refusing().through(again.value, again.headers)
    # A console sends a dead letter to the event's topic as it is.
    redriven = await refusing().through(first.value, first.headers)

    assert replayed.headers == redriven.headers == first.headers


async def test_a_letter_without_the_event_has_none_of_its_headers() -> None:
    scene = refusing()
    scene.too_large = frozenset({"dead"})
    large: Headers = (("streamproc-error-detail", b"x" * 1000), ("streamproc-request-id", b"y"))

    sent = await scene.through("{}", large)

    assert not set(large) & set(sent.headers)
    letter = read(sent)
    assert (letter.has_original, letter.request_topic) == (False, "in")


async def test_a_letter_whose_headers_were_changed_on_the_way_gives_back_those_before_ours() -> (
    None
):
    sent = await refusing().through("{}", OWN[:1])
    changed = tuple(one for one in sent.headers if one[0] != "streamproc-event-headers")
    letter = DeadLetter(Record("dead", 0, 7, 2000, sent.key, sent.value, changed))

    assert original_event(letter, ["in"]).headers == OWN[:1]


async def test_a_letter_of_another_topic_is_not_replayed() -> None:
    with pytest.raises(OperatorError, match="of 'in', which the route does not read"):
        original_event(read(await refusing().through("{}")), ["elsewhere"])
