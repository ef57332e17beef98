"""Events in Avro through a route, with a registry in memory."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from streamproc.clock import SystemClock
from streamproc.enrichment.registry.registry_format import RegistryFormat
from streamproc.enrichment.registry.schemas import Reference
from streamproc.errors import TopicsError
from streamproc.messages.record import ProducerRecord
from tests.support.avro_events import ORDER, decoded, encoded, framed, order
from tests.support.registries import MemoryRegistry
from tests.support.route_scenes import MOOD, PEOPLE, RegistryScene

LINES = {
    "name": "lines", "task": "translation", "ensemble": "translation-en-de",
    "text": "/lines/*/text", "to": "/nlp/lines",
}  # fmt: skip
HIDE = {
    **PEOPLE, "on_error": "dlq", "redact": {"labels": ["PER"], "from": "/body", "to": "/body"},
}  # fmt: skip


def opened(registry: MemoryRegistry, published: ProducerRecord) -> Any:
    """The event that was published, by the schema that it says."""
    value = published.value or b""
    schema = json.loads(registry.by_id(int.from_bytes(value[1:5], "big")).text)
    return decoded(schema, value[5:])


async def test_answers_are_bytes_behind_those_of_the_event() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    body = encoded(ORDER, order())

    published = await RegistryScene(registry, MOOD, PEOPLE).through(framed(name.id, body))

    assert published.topic == "out"
    assert (published.value or b"")[5:].startswith(body)
    event = opened(registry, published)
    assert event["nlp"]["mood"] == {"label": "GOOD", "agreement": 0.75}
    assert event["masked"] == "a good day"
    assert event["nlp"]["run"]["ok"] == ["mood", "people"]
    assert event["nlp"]["run"]["manifests"]["mood"] == "digest of sentiment"


async def test_the_output_schema_is_the_input_schema_and_one_optional_field() -> None:
    registry = MemoryRegistry()
    text = json.dumps(ORDER, indent=3)
    name = registry.add("in-value", text)

    await RegistryScene(registry, MOOD).through(framed(name.id, encoded(ORDER, order())))

    (output,) = registry.under("out-value")
    longer = json.loads(output.text)
    *fields, added = longer.pop("fields")
    assert {**longer, "fields": fields} == ORDER
    assert (added["name"], added["type"][0], added["default"]) == ("nlp", "null", None)
    assert output.text.startswith(text[: text.rindex("}") - 40])


async def test_a_subject_can_be_named() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    one = RegistryScene(registry, MOOD, to={"topic": "out", "subject": "shop.Enriched"})

    await one.through(framed(name.id, encoded(ORDER, order())))

    assert registry.under("shop.Enriched")
    assert not registry.under("out-value")


async def test_texts_in_arrays_of_records_have_answers_by_pointer() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    lines = [{"text": "a", "of": None}, {"text": "b", "of": None}]

    published = await RegistryScene(registry, LINES).through(
        framed(name.id, encoded(ORDER, order(lines=lines)))
    )

    assert opened(registry, published)["nlp"]["lines"] == {
        "/lines/0/text": "A",
        "/lines/1/text": "B",
    }


@pytest.mark.parametrize("in_header", [False, True])
@pytest.mark.parametrize("by_guid", [False, True])
async def test_the_wire_form_stays(in_header: bool, by_guid: bool) -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    body = encoded(ORDER, order())
    assert name.guid is not None
    said = b"\x01" + name.guid.bytes if by_guid else framed(name.id, b"")
    headers = (("a", b"b"), ("__value_schema_id", said)) if in_header else ()

    published = await RegistryScene(registry, MOOD).through(
        body if in_header else said + body, headers
    )

    value = published.value or b""
    says = dict(published.headers)["__value_schema_id"] if in_header else value[: len(said)]
    assert says is not None
    assert says[:1] == said[:1]
    assert says != said
    rest = value if in_header else value[len(said) :]
    assert rest.startswith(body)
    ref = UUID(bytes=says[1:]) if by_guid else int.from_bytes(says[1:], "big")
    longer = json.loads((await registry.schema(ref)).text)
    assert decoded(longer, rest)["nlp"]["mood"]["label"] == "GOOD"


async def test_a_registry_without_guids_is_answered_by_ids() -> None:
    registry = MemoryRegistry(has_guids=False)
    name = registry.add("in-value", ORDER)
    header = ("__value_schema_id", framed(name.id, b""))

    published = await RegistryScene(registry, MOOD).through(encoded(ORDER, order()), (header,))

    assert dict(published.headers)["__value_schema_id"] == framed(2, b"")


async def test_the_header_goes_on_though_others_do_not() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    headers = (("a", b"b"), ("__value_schema_id", framed(name.id, b"")))
    one = RegistryScene(registry, MOOD, to={"topic": "out", "headers": "none"})

    published = await one.through(encoded(ORDER, order()), headers)

    assert "a" not in dict(published.headers)
    assert "__value_schema_id" in dict(published.headers)


@pytest.mark.parametrize(("key", "goes_on"), [("same", True), ("/id", False)])
async def test_the_header_of_a_key_goes_on_with_the_key(key: str, goes_on: bool) -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    for headers in ("same", "none"):
        scene = RegistryScene(registry, MOOD, to={"topic": "out", "key": key, "headers": headers})
        value = framed(name.id, encoded(ORDER, order()))
        published = await scene.through(value, (("__key_schema_id", framed(5, b"")),))

        assert ("__key_schema_id" in dict(published.headers)) is goes_on


@pytest.mark.parametrize(
    ("schema", "why"), [({"type": ORDER}, b"wrong schema"), ([ORDER], b"no record")]
)
async def test_a_schema_that_is_no_record_itself_is_refused(schema: Any, why: bytes) -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", json.dumps(schema))

    letter = await RegistryScene(registry, MOOD).through(framed(name.id, b""))

    assert why in (dict(letter.headers)["kafka_dlt-exception-message"] or b"")


async def test_an_unmatched_event_goes_on_as_it_is() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    value = framed(name.id, encoded(ORDER, order(state="NEW")))
    when = [{"at": "/state", "equals": "PAID"}]

    assert (await RegistryScene(registry, MOOD, when=when).through(value)).value == value


async def test_a_key_is_found_among_the_events_own_fields_and_answers() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    value = framed(name.id, encoded(ORDER, order()))
    keys = []
    for pointer in ("/id", "/nlp/mood/label", "/day", "/lines/0"):
        one = RegistryScene(registry, MOOD, to={"topic": "out", "key": pointer})
        keys.append((await one.through(value)).key)

    assert keys == [
        order()["id"].encode(), b"GOOD", b"19675", b'{"text":"one","of":{"text":"two","of":null}}',
    ]  # fmt: skip


async def test_each_schema_has_a_longer_one_of_its_own_made_once() -> None:
    registry = MemoryRegistry()
    first = registry.add("in-value", ORDER)
    more = {**ORDER, "fields": [*ORDER["fields"], {"name": "x", "type": "int", "default": 0}]}
    second = registry.add("in-value", more)
    one = RegistryScene(registry, MOOD)

    for _ in range(3):
        await one.through(framed(first.id, encoded(ORDER, order())))
        await one.through(framed(second.id, encoded(more, order(x=7))))

    events = [opened(registry, published) for published in one.published]
    assert [event.get("x") for event in events] == [None, 7] * 3
    assert all(event["nlp"]["mood"]["label"] == "GOOD" for event in events)
    assert len(registry.under("out-value")) == 2
    assert registry.asked.count("schema") == 2


async def test_events_that_come_together_ask_the_registry_once() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    one = RegistryScene(registry, MOOD)
    value = framed(name.id, encoded(ORDER, order()))

    await asyncio.gather(*(one.through(value) for _ in range(20)))

    assert registry.asked == ["schema", "register"]


async def test_schemas_that_others_refer_to_are_read_and_go_on_as_references() -> None:
    registry = MemoryRegistry()
    money = {"type": "record", "name": "Money", "namespace": "shop", "fields": [
        {"name": "cents", "type": "long"}]}  # fmt: skip
    registry.add("money", money)
    using = {"type": "record", "name": "Sale", "namespace": "shop", "fields": [
        {"name": "body", "type": "string"}, {"name": "total", "type": "shop.Money"}]}  # fmt: skip
    references = (Reference("shop.Money", "money", 1),)
    name = registry.add("in-value", using, references=references)
    whole = {**using, "fields": [using["fields"][0], {"name": "total", "type": money}]}
    body = encoded(whole, {"body": "good", "total": {"cents": 5}})

    published = await RegistryScene(registry, MOOD).through(framed(name.id, body))

    assert published.topic == "out"
    assert (published.value or b"")[5:].startswith(body)
    assert registry.under("out-value")[0].references == references


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", b"no schema id"),
        (b'{"body":"x"}', b"no schema id"),
        (b"\x00\x00\x00", b"no schema id"),
        (framed(99, b"x"), b"unknown schema"),
        (framed(1, b""), b"not Avro"),
        (framed(1, encoded(ORDER, order())[:-1]), b"not Avro"),
        (framed(1, encoded(ORDER, order()) + b"\x00"), b"not Avro"),
        (framed(2, b"\x00"), b"no record"),
        (framed(3, b"{}"), b"another format"),
    ],
)
async def test_what_can_not_be_read_is_a_dead_letter_bytes_and_all(
    value: bytes, why: bytes
) -> None:
    registry = MemoryRegistry()
    registry.add("in-value", ORDER)
    registry.add("in-value", '"string"')
    registry.add("in-value", "{}", "JSON")

    letter = await RegistryScene(registry, MOOD).through(value)

    assert (letter.topic, letter.value) == ("dead", value)
    assert why in (dict(letter.headers)["kafka_dlt-exception-message"] or b"")


@pytest.mark.parametrize(
    "value",
    [
        b"\xff" * 9 + b"\x01" + b"\x08\x02\x02\x00" + b"\x00" + b"\x14Ada called",
        b"\x00" + b"\x01" + b"\x14Ada called",
    ],
)
async def test_bytes_that_only_fastavro_reads_are_a_dead_letter(value: bytes) -> None:
    schema = {"type": "record", "name": "T", "fields": [
        {"name": "many", "type": {"type": "array", "items": "long"}},
        {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A", "B"]}},
        {"name": "body", "type": "string"},
    ]}  # fmt: skip
    registry = MemoryRegistry()
    framed_value = framed(registry.add("in-value", schema).id, value)

    letter = await RegistryScene(registry, HIDE).through(framed_value)

    assert (letter.topic, letter.value) == ("dead", framed_value)
    assert b"not Avro" in (dict(letter.headers)["kafka_dlt-exception-message"] or b"")


async def test_a_header_that_holds_no_id_makes_a_dead_letter() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    header = ("__value_schema_id", b"\x00\x00")

    letter = await RegistryScene(registry, MOOD).through(
        framed(name.id, encoded(ORDER, order())), (header,)
    )

    assert letter.topic == "dead"


async def test_a_field_that_is_there_already_makes_a_dead_letter() -> None:
    registry = MemoryRegistry()
    taken = {**ORDER, "fields": [*ORDER["fields"], {"name": "nlp", "type": "string"}]}
    name = registry.add("in-value", taken)

    letter = await RegistryScene(registry, MOOD).through(
        framed(name.id, encoded(taken, order(nlp="x")))
    )

    assert letter.topic == "dead"
    assert b"has a field 'nlp' already" in (
        dict(letter.headers)["kafka_dlt-exception-message"] or b""
    )


async def test_a_string_that_is_no_utf_8_fails_as_an_answer_and_stays_as_it_is() -> None:
    registry = MemoryRegistry()
    schema = {"type": "record", "name": "T", "fields": [{"name": "body", "type": "bytes"}]}
    texts = {"type": "record", "name": "T", "fields": [{"name": "body", "type": "string"}]}
    name = registry.add("in-value", texts)
    body = encoded(schema, {"body": b"\xff\xfe"})

    published = await RegistryScene(registry, MOOD).through(framed(name.id, body))

    assert published.topic == "out"
    assert (published.value or b"")[5:].startswith(body)


async def test_records_in_records_without_end_are_a_dead_letter() -> None:
    registry = MemoryRegistry()
    chain = {"type": "record", "name": "Chain", "fields": [
        {"name": "body", "type": "string"},
        {"name": "next", "type": ["null", "Chain"]},
    ]}  # fmt: skip
    name = registry.add("in-value", chain)
    deep = framed(name.id, b"\x00\x02" * 200_000 + b"\x00\x00")

    letter = await RegistryScene(registry, MOOD).through(deep)

    assert (letter.topic, letter.value) == ("dead", deep)


async def test_arrays_of_nothing_are_not_read() -> None:
    registry = MemoryRegistry()
    empty = {"type": "record", "name": "Empty", "fields": []}
    nothing = {"type": "record", "name": "N", "fields": [
        {"name": "many", "type": {"type": "array", "items": empty}}]}  # fmt: skip
    name = registry.add("in-value", nothing)

    letter = await RegistryScene(registry, MOOD).through(
        framed(name.id, b"\xfe\xff\xff\xff\xff\x7f\x00")
    )

    assert letter.topic == "dead"


async def test_a_schema_that_can_not_be_made_longer_is_refused_at_start() -> None:
    registry = MemoryRegistry()
    registry.add("in-value", {**ORDER, "fields": [{"name": "nlp", "type": "string"}]})
    one = RegistryFormat(RegistryScene(registry, MOOD).route, registry, SystemClock())

    with pytest.raises(TopicsError, match=r"route shop: in-value: .* has a field 'nlp' already"):
        await one.prepare()


async def test_the_longer_schema_is_registered_at_start() -> None:
    registry = MemoryRegistry()
    registry.add("in-value", ORDER)

    await RegistryFormat(RegistryScene(registry, MOOD).route, registry, SystemClock()).prepare()

    assert len(registry.under("out-value")) == 1


async def test_all_versions_are_made_longer_at_start_in_their_order() -> None:
    registry = MemoryRegistry()
    for fields in (ORDER["fields"], ORDER["fields"][:3], ORDER["fields"][:2]):
        registry.add("in-value", {**ORDER, "fields": fields})

    await RegistryFormat(RegistryScene(registry, MOOD).route, registry, SystemClock()).prepare()

    longer = [json.loads(one.text)["fields"] for one in registry.under("out-value")]
    assert [len(fields) for fields in longer] == [len(ORDER["fields"]) + 1, 4, 3]


async def test_an_older_version_that_can_not_be_made_longer_holds_up_no_start() -> None:
    registry = MemoryRegistry()
    registry.add("in-value", {**ORDER, "fields": [{"name": "nlp", "type": "string"}]})
    registry.add("in-value", ORDER)

    await RegistryFormat(RegistryScene(registry, MOOD).route, registry, SystemClock()).prepare()

    assert len(registry.under("out-value")) == 1


async def test_a_topic_without_a_schema_does_not_hold_up_the_start() -> None:
    registry = MemoryRegistry()

    await RegistryFormat(RegistryScene(registry, MOOD).route, registry, SystemClock()).prepare()

    assert registry.asked == ["versions"]


@pytest.mark.parametrize("body", ["Ada was here", "a" * 200 + " Ada", "nobody", None])
async def test_a_text_is_masked_where_it_is_and_the_rest_stays(body: str | None) -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    value = framed(name.id, encoded(ORDER, order(body=body)))

    published = await RegistryScene(registry, HIDE).through(value)

    masked = None if body is None else body.replace("Ada", "<PER>")
    whole = (published.value or b"")[5:]
    assert whole.startswith(encoded(ORDER, order(body=masked)))
    assert opened(registry, published)["body"] == masked


@pytest.mark.parametrize("pointer", ["/day", "/lines/0/text", "/tags/a", "/nobody", "/state"])
async def test_what_is_no_string_within_records_is_not_masked_in_its_place(pointer: str) -> None:
    registry = MemoryRegistry()
    registry.add("in-value", ORDER)
    redact = {"labels": ["PER"], "from": pointer, "to": pointer}
    scene = RegistryScene(registry, {**HIDE, "text": pointer, "redact": redact})

    with pytest.raises(TopicsError, match=f"in the schema {pointer} is not a string"):
        await RegistryFormat(scene.route, registry, SystemClock()).prepare()


async def test_an_answer_is_null_where_none_was_given() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    body = encoded(ORDER, order(body=None))

    published = await RegistryScene(registry, MOOD, PEOPLE).through(framed(name.id, body))

    event = opened(registry, published)
    assert event["masked"] is None
    assert event["nlp"]["mood"] is None
    assert event["nlp"]["run"]["skipped"] == ["mood", "people"]
