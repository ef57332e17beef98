from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from streamproc.enrichment.asking import MAX_TEXTS, TEXTS_AT_ONCE
from streamproc.errors import WorkerFault
from streamproc.messages.record import Headers, Record
from streamproc.messages.request import Request
from streamproc.messages.response import Response
from tests.support.route_scenes import LINES, MOOD, PEOPLE, Scene


async def test_answers_are_put_in_and_the_event_stays_to_the_byte() -> None:
    before = '{ "body":"a good day", "price": 1.10, "id":12345678901234567890,"a":1,"a":2 }'
    scene = Scene(MOOD)

    published = await scene.through(before)

    meta = '{"ok":["mood"],"skipped":[],"failed":{},"manifests":{"mood":"digest of sentiment"}}'
    answer = '{"label":"GOOD","agreement":0.75}'
    assert (published.value or b"").decode() == (
        f'{before[:-2]},"nlp":{{"mood":{answer},"run":{meta}}} }}'
    )


async def test_key_timestamp_and_headers_go_on_and_the_source_is_told() -> None:
    trace = ("traceparent", b"00-1-2-01")
    old = ("streamproc-route", b"another")
    published = await Scene(MOOD).through('{"body":"x"}', (trace, ("a", None), old))

    assert (published.key, published.timestamp_ms) == (b"key", 1_700_000_000_000)
    assert published.headers == (
        trace, ("a", None), ("streamproc-route", b"shop"), ("streamproc-source-topic", b"in"),
        ("streamproc-source-partition", b"3"), ("streamproc-source-offset", b"42"),
    )  # fmt: skip


async def test_an_answers_id_says_which_text_of_which_event_it_is_about() -> None:
    scene = Scene(MOOD, LINES)
    await scene.event('{"body":"x","lines":[{"text":"a"},{"text":"b"}]}')

    assert [one.id for one in scene.answerers["text-classification"].asked] == ["in:3:42/mood"]
    assert [one.id for one in scene.answerers["translation"].asked] == [
        "in:3:42/lines/lines/0/text", "in:3:42/lines/lines/1/text",
    ]  # fmt: skip


async def test_each_element_has_its_answer_beside_it() -> None:
    event = await Scene(LINES).event('{"lines":[{"text":"a"},{"text":null},{},{"text":"b"}]}')

    assert event["lines"] == [
        {"text": "a", "de": "A"},
        {"text": None},
        {},
        {"text": "b", "de": "B"},
    ]


async def test_several_texts_have_an_answer_each_by_their_pointers() -> None:
    several = {**PEOPLE, "text": ["/subject", "/body"]}
    event = await Scene(several).event('{"subject":"to Ada","body":"from Bob"}')

    people = event["nlp"]["people"]
    assert {place: [one["word"] for one in found] for place, found in people.items()} == {
        "/subject": ["Ada"], "/body": ["Bob"],
    }  # fmt: skip
    assert event["masked"] == "from <PER>"


async def test_a_text_without_the_entity_is_masked_as_it_is() -> None:
    assert (await Scene(PEOPLE).event('{"body":"nobody at all"}'))["masked"] == "nobody at all"


async def test_answers_that_redact_one_text_mask_it_together() -> None:
    other = {
        **PEOPLE, "name": "more", "to": "/nlp/more",
        "redact": {"labels": ["PER"], "from": "/body", "to": "/masked", "with": "#"},
    }  # fmt: skip
    assert (await Scene(PEOPLE, other).event('{"body":"Ada, ok"}'))["masked"] in (
        "# ok",
        "<PER> ok",
    )


async def test_a_text_whose_entities_are_not_known_is_not_shown_as_masked() -> None:
    event = await Scene(PEOPLE).event('{"body":"late Ada"}')

    assert "masked" not in event
    assert event["nlp"]["run"]["failed"] == {"people": "deadline"}


def masking_in_place(pointer: str) -> dict[str, Any]:
    redact = {"labels": ["PER"], "from": pointer, "to": pointer}
    return {**PEOPLE, "text": pointer, "redact": redact, "on_error": "dlq"}


@pytest.mark.parametrize(
    ("pointer", "event"),
    [
        ("/body", '{"body":"Ada called","body":"Ada called"}'),
        ("/body", '{"body":"Ada called","\\u0062ody":null}'),
        ("/a/body", '{"a":{"body":"Ada called"},"a":{"body":"Ada called"}}'),
        ("/a/body", '{"a":{"body":"Ada called"},"a":{}}'),
        ("/a/0/body", '{"a":[{"body":"Ada called","body":"Ada called"}]}'),
    ],
)
async def test_no_text_goes_on_beside_the_masked_one_under_its_name(
    pointer: str, event: str
) -> None:
    scene = Scene(masking_in_place(pointer))

    letter = await scene.through(event)

    assert (letter.topic, letter.value) == ("dead", event.encode())
    assert b"each name is there once" in (dict(letter.headers)["streamproc-error-detail"] or b"")
    assert not scene.answerers["token-classification"].asked


@pytest.mark.parametrize("name", ["data", "body"])
async def test_no_text_goes_on_beside_the_masked_one_in_a_cloud_event(name: str) -> None:
    source = {"topics": ["in"], "format": "cloudevents"}
    data = '{"body":"Ada called","body":"Ada called"}' if name == "body" else '{"body":"Ada"}'
    twice = f'"data":{data},"data":{data}' if name == "data" else f'"data":{data}'

    letter = await Scene(masking_in_place("/body"), **{"from": source}).through(
        f'{{"specversion":"1.0","id":"1","source":"/s","type":"t",{twice}}}'
    )

    assert letter.topic == "dead"


async def test_names_that_nothing_is_masked_under_may_be_there_twice() -> None:
    event = '{"id":1,"id":2,"body":"Ada called","a":{"body":"x","body":"y"}}'

    published = await Scene(masking_in_place("/body")).through(event)

    assert (published.value or b"").startswith(
        b'{"id":1,"id":2,"body":"<PER> called","a":{"body":"x","body":"y"},"nlp":'
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({**MOOD, "on_error": "annotate"}, {}),
        ({**MOOD, "on_error": "default", "default": {"label": "NEUTRAL"}}, {"label": "NEUTRAL"}),
        ({**MOOD, "on_error": "default", "default": None}, None),
    ],
)
async def test_a_part_that_fails_holds_up_no_event(spec: dict[str, Any], expected: Any) -> None:
    event = await Scene(spec, LINES).event('{"body":"late","lines":[{"text":"a"}]}')

    assert event["nlp"].get("mood", {}) == expected
    assert event["nlp"]["run"]["failed"] == {"mood": "deadline"}
    assert event["nlp"]["run"]["ok"] == ["lines"]


async def test_what_on_error_sends_there_is_a_dead_letter_with_the_headers_of_consoles() -> None:
    scene = Scene({**MOOD, "on_error": "dlq"})
    letter = await scene.through('{"body":"late"}', (("a", b"b"),))

    headers = dict(letter.headers)
    assert (letter.topic, letter.key, letter.value) == ("dead", b"key", b'{"body":"late"}')
    assert headers["a"] == b"b"
    assert headers["streamproc-route"] == b"shop"
    assert headers["kafka_dlt-original-topic"] == b"in"
    assert headers["kafka_dlt-original-partition"] == (3).to_bytes(4, "big")
    assert headers["kafka_dlt-original-offset"] == (42).to_bytes(8, "big")
    assert b"deadline passed" in (headers["kafka_dlt-exception-message"] or b"")
    assert len(scene.published) == 1


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({**MOOD, "on_missing": "skip"}, {}),
        ({**MOOD, "on_missing": "null"}, None),
    ],
)
@pytest.mark.parametrize("event", ['{"lines":[]}', '{"lines":[],"body":null}'])
async def test_a_text_that_is_not_there_is_skipped(
    spec: dict[str, Any], expected: Any, event: str
) -> None:
    enriched = await Scene(spec).event(event)

    assert enriched["nlp"].get("mood", {}) == expected
    assert enriched["nlp"]["run"]["skipped"] == ["mood"]


async def test_a_missing_text_may_make_a_dead_letter() -> None:
    assert (await Scene({**MOOD, "on_missing": "dlq"}).through("{}")).topic == "dead"


@pytest.mark.parametrize("body", ["1", "true", "[]", "{}", '"\\ud800"', '"x\\udfff"'])
async def test_what_is_no_text_fails_as_an_answer(body: str) -> None:
    event = await Scene(MOOD).event(f'{{"body":{body}}}')

    assert event["nlp"]["run"]["failed"] == {"mood": "invalid"}


async def test_a_place_that_is_taken_by_a_scalar_fails_as_an_answer() -> None:
    scene = Scene({**MOOD, "to": "/a/b"}, LINES)
    event = await scene.event('{"body":"x","a":1,"lines":[{"text":"a"}]}')

    assert event["a"] == 1
    assert event["nlp"]["run"]["failed"] == {"mood": "invalid"}
    assert event["lines"] == [{"text": "a", "de": "A"}]


async def test_a_place_for_meta_that_is_taken_makes_a_dead_letter() -> None:
    assert (await Scene(MOOD).through('{"body":"x","nlp":"taken"}')).topic == "dead"


async def test_a_place_that_is_null_counts_as_one_that_is_absent() -> None:
    published = await Scene(MOOD).through('{"body":"x", "nlp": null, "n":1.10}')

    assert published.topic == "out"
    text = (published.value or b"").decode()
    assert text.startswith('{"body":"x", "nlp": {')
    assert text.endswith('}, "n":1.10}')
    assert set(json.loads(text)["nlp"]) == {"mood", "run"}


@pytest.mark.parametrize("value", [b"", b"{", b'{"a":NaN}', b'{"body":"\xff"}', b"\x00\x01"])
async def test_an_event_that_is_not_readable_is_a_dead_letter_bytes_and_all(value: bytes) -> None:
    letter = await Scene(MOOD).through(value)

    assert (letter.topic, letter.value) == ("dead", value)
    assert dict(letter.headers)["streamproc-error-type"] == b"unreadable"


async def test_a_tombstone_goes_on_as_one() -> None:
    published = await Scene(MOOD).through(None)

    assert (published.topic, published.key, published.value) == ("out", b"key", None)


@pytest.mark.parametrize(("unmatched", "topics"), [("forward", ["out"]), ("drop", [])])
async def test_events_that_a_condition_does_not_hold_for(unmatched: str, topics: list[str]) -> None:
    scene = Scene(MOOD, when=[{"at": "/lang", "in": ["en"]}], unmatched=unmatched)
    record = Record("in", 0, 0, 0, None, b'{"lang":"de","body":"x"}')
    await scene.enricher(record)

    assert [one.topic for one in scene.published] == topics
    assert all(one.value == record.value for one in scene.published)
    assert not scene.answerers["text-classification"].asked


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"at": "/a", "in": [1, 2]}, True),
        ({"at": "/a", "equals": 1.0}, True),
        ({"at": "/a", "equals": True}, False),
        ({"at": "/a", "equals": "1"}, False),
        ({"at": "/big", "equals": 12345678901234567890123}, True),
        ({"at": "/big", "equals": 12345678901234567890124}, False),
        ({"at": "/n", "exists": True}, False),
        ({"at": "/n", "exists": False}, True),
        ({"at": "/s", "matches": "^he.lo$"}, True),
        ({"at": "/a", "matches": "1"}, False),
        ({"at": "/l/*/x", "equals": 2}, True),
        ({"at": "/l/*/x", "equals": 3}, False),
    ],
)
async def test_conditions(condition: dict[str, Any], holds: bool) -> None:
    event = (
        b'{"a":1,"n":null,"s":"hello","big":12345678901234567890123,'
        b'"l":[{"x":1},{"x":2}],"body":"b"}'
    )
    scene = Scene(MOOD, when=[condition])
    await scene.through(event)

    assert bool(scene.answerers["text-classification"].asked) is holds


async def test_a_replayed_event_keeps_what_was_answered_under_the_same_manifest() -> None:
    scene = Scene(MOOD, PEOPLE, LINES, skip_if_done=True)
    first = await scene.through('{"body":"good Ada","lines":[{"text":"late"}]}')
    again = await scene.through(first.value)

    assert again.value == first.value
    assert len(scene.answerers["text-classification"].asked) == 1
    assert len(scene.answerers["token-classification"].asked) == 1
    assert len(scene.answerers["translation"].asked) == 2


async def test_an_answer_names_the_manifest_that_gave_it_and_none_where_two_did() -> None:
    scene = Scene(MOOD, LINES)
    digests = iter(["the first", "the second", "the third"])
    for answerer in scene.answerers.values():
        answerer.digest = lambda ensemble: next(digests)  # type: ignore[method-assign]
    event = await scene.event('{"body":"good","lines":[{"text":"a"},{"text":"b"}]}')

    (told,) = event["nlp"]["run"]["manifests"].values()
    assert told in {"the first", "the second", "the third"}
    assert next(digests, None) is None
    assert event["nlp"]["run"]["ok"] == ["mood", "lines"]


async def test_a_masked_text_is_made_anew_with_all_that_have_a_say_in_it() -> None:
    other = {
        **PEOPLE, "name": "more", "to": "/nlp/more", "ensemble": "others",
        "redact": {"labels": ["PER"], "from": "/body", "to": "/masked"},
    }  # fmt: skip
    scene = Scene(PEOPLE, other, skip_if_done=True)
    first = await scene.event('{"body":"Ada"}')
    first["nlp"]["run"]["manifests"]["more"] = "of last year"
    scene.answerers["token-classification"].asked.clear()
    again = await scene.event(json.dumps(first))

    assert again["masked"] == "<PER>"
    assert len(scene.answerers["token-classification"].asked) == 2


@pytest.mark.parametrize(
    ("key", "expected"), [("/nlp/mood/label", b"BAD"), ("/n", b"1.10"), ("same", b"key")]
)
async def test_the_key_may_come_from_the_enriched_event(key: str, expected: bytes) -> None:
    scene = Scene(MOOD, to={"topic": "out", "key": key})
    assert (await scene.through('{"body":"x","n":1.10}')).key == expected


async def test_an_event_without_the_key_is_a_dead_letter() -> None:
    scene = Scene(MOOD, to={"topic": "out", "key": "/missing"})
    assert (await scene.through('{"body":"x"}')).topic == "dead"


async def test_half_a_surrogate_pair_is_no_key() -> None:
    scene = Scene(MOOD, to={"topic": "out", "key": "/k"})
    assert (await scene.through('{"body":"x","k":"\\ud800"}')).topic == "dead"


async def test_a_text_with_half_a_surrogate_pair_holds_up_no_other() -> None:
    event = await Scene(PEOPLE, LINES).event('{"body":"\\ud800","lines":[{"text":"a"}]}')

    assert event["nlp"]["run"]["failed"] == {"people": "invalid"}
    assert "masked" not in event
    assert event["lines"] == [{"text": "a", "de": "A"}]


async def test_a_question_may_be_a_constant_or_a_pointer() -> None:
    ask = {
        "name": "one", "task": "question-answering", "ensemble": "qa", "question": "Who?",
        "context": "/body", "to": "/nlp/one",
    }  # fmt: skip
    scene = Scene(ask, {**ask, "name": "two", "question": "/ask", "to": "/nlp/two"})
    event = await scene.event('{"body":"Ada did","ask":"Really?"}')

    assert event["nlp"]["one"]["answer"] == "Ada"
    asked = [one.inputs["question"] for one in scene.answerers["question-answering"].asked]
    assert sorted(asked) == ["Really?", "Who?"]


def many_lines(count: int) -> str:
    return json.dumps({"body": "x", "lines": [{"text": "a"}] * count + [{"text": None}]})


async def test_an_event_of_too_many_texts_is_a_dead_letter_before_any_is_asked_about() -> None:
    scene = Scene(MOOD, LINES)

    letter = await scene.through(many_lines(MAX_TEXTS + 1))

    headers = dict(letter.headers)
    assert letter.topic == "dead"
    assert headers["streamproc-error-title"] == b"answer lines: too many texts"
    assert b"more than 10,000 at /lines/*/text; send" in (headers["streamproc-error-detail"] or b"")
    assert not any(answerer.asked for answerer in scene.answerers.values())


async def test_as_many_texts_as_there_may_be_have_an_answer_each() -> None:
    event = await Scene(LINES).event(many_lines(MAX_TEXTS))

    assert [line.get("de") for line in event["lines"]] == ["A"] * MAX_TEXTS + [None]


async def test_the_texts_of_one_event_are_not_all_asked_about_at_once() -> None:
    scene, let_go = Scene(LINES), asyncio.Event()
    translation, under_way, most = scene.answerers["translation"], 0, 0
    answer = translation.answer

    async def held_up(request: Request) -> Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await let_go.wait()
        under_way -= 1
        return await answer(request)

    translation.answer = held_up  # type: ignore[method-assign]
    through = asyncio.create_task(scene.event(many_lines(TEXTS_AT_ONCE * 3)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert under_way == TEXTS_AT_ONCE
    let_go.set()

    assert len((await through)["lines"]) == TEXTS_AT_ONCE * 3 + 1
    assert most == TEXTS_AT_ONCE


async def test_a_structured_cloud_event_is_addressed_below_data() -> None:
    scene = Scene(MOOD, **{"from": {"topics": ["in"], "format": "cloudevents"}})
    text = '{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"body":"good"}}'
    event = await scene.event(text)

    assert event["data"]["nlp"]["mood"]["label"] == "GOOD"
    assert [event[name] for name in ("specversion", "id", "source", "type")] == [
        "1.0",
        "1",
        "/s",
        "t",
    ]


ATTRIBUTES = '"specversion":"1.0","id":"1","source":"/s","type":"t"'


@pytest.mark.parametrize(
    "members",
    [
        '"data_base64":"eyJib2R5IjoiZ29vZCJ9"',
        '"data_base64":"eyJib2R5IjoiZ29vZCJ9","data":{"body":"good"}',
        '"data":{"body":"good"},"data_\\u0062ase64":7',
    ],
)
@pytest.mark.parametrize("headers", [(), (("content-type", b"application/cloudevents+json"),)])
async def test_an_event_whose_data_is_base64_is_a_dead_letter(
    members: str, headers: Headers
) -> None:
    scene = Scene(MOOD, **{"from": {"topics": ["in"], "format": "cloudevents"}})
    text = f"{{{ATTRIBUTES},{members}}}"
    letter = await scene.through(text, headers)

    assert (letter.topic, letter.value) == ("dead", text.encode())
    assert b"whose data is JSON" in (dict(letter.headers)["streamproc-error-detail"] or b"")


@pytest.mark.parametrize(
    "members",
    [
        '"data_base64":null,"data":{"body":"good"}',
        '"data":{"body":"good","data_base64":"eA=="}',
        '"data":{"body":"good"},"extension":{"data_base64":"eA=="}',
    ],
)
async def test_a_name_that_holds_no_data_of_the_event_is_left_alone(members: str) -> None:
    scene = Scene(MOOD, **{"from": {"topics": ["in"], "format": "cloudevents"}})
    event = await scene.event(f"{{{ATTRIBUTES},{members}}}")

    assert event["data"]["nlp"]["mood"]["label"] == "GOOD"


async def test_a_binary_cloud_event_keeps_its_attributes() -> None:
    scene = Scene(MOOD, **{"from": {"topics": ["in"], "format": "cloudevents"}})
    attributes = tuple(
        (f"ce_{name}", value)
        for name, value in (("specversion", b"1.0"), ("id", b"1"), ("source", b"/"), ("type", b"t"))
    )
    published = await scene.through('{"body":"good"}', attributes)

    assert json.loads(published.value or b"")["nlp"]["mood"]["label"] == "GOOD"
    assert published.headers[:4] == attributes


async def test_what_is_no_cloud_event_is_a_dead_letter_where_one_is_expected() -> None:
    scene = Scene(MOOD, **{"from": {"topics": ["in"], "format": "cloudevents"}})
    assert (await scene.through('{"body":"x"}')).topic == "dead"


async def test_an_event_that_grew_too_large_is_a_dead_letter() -> None:
    scene = Scene(MOOD)
    scene.too_large = frozenset({"out"})
    letter = await scene.through('{"body":"x"}')

    assert (letter.topic, letter.value) == ("dead", b'{"body":"x"}')


async def test_an_event_that_its_topic_refuses_is_a_dead_letter_without_its_timestamp() -> None:
    scene = Scene(MOOD)
    scene.refusing = frozenset({"out", "dead"})
    letter = await scene.through('{"body":"x"}')

    assert (letter.topic, letter.value, letter.timestamp_ms) == ("dead", b'{"body":"x"}', None)
    assert dict(letter.headers)["streamproc-error-title"] == b"refused by its topic"


async def test_a_dead_letter_that_is_too_large_says_where_the_original_lies() -> None:
    scene = Scene(MOOD)
    scene.too_large = frozenset({"out", "dead"})
    letter = await scene.through('{"body":"x"}')

    assert (letter.topic, letter.value, letter.is_last_resort) == ("dead", None, True)
    assert dict(letter.headers)["streamproc-request-offset"] == b"42"


async def test_a_fault_of_the_worker_is_raised_and_the_other_answers_end() -> None:
    scene = Scene(MOOD, LINES)

    def fail(_: Request) -> None:
        raise WorkerFault("no memory")

    scene.answerers["text-classification"].fail = fail
    with pytest.raises(WorkerFault, match="no memory"):
        await scene.through('{"body":"x","lines":[{"text":"a"}]}')
    assert not scene.published
