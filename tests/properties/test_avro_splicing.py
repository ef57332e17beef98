"""Answers behind the bytes of any Avro record, against fastavro's own reading of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from streamproc.enrichment.json_pointer import Path
from streamproc.enrichment.registry.answer_types import as_record
from streamproc.enrichment.registry.avro_event import AvroEventSchema
from streamproc.enrichment.registry.avro_schema import AvroMembers, AvroSchema
from streamproc.enrichment.registry.wire_format import FramedValue, SchemaName
from streamproc.errors import Invalid, Unreadable
from streamproc.messages.response_types import AnswerType, ListOf, MapOf, RecordOf
from tests.support.avro_events import decoded, encoded

PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "bytes": st.binary(max_size=6),
    "string": st.text(max_size=6),
}
# Logical types over what they are stored as; also numbers that no date or time of Python has.
LOGICAL: list[dict[str, Any]] = [
    {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "long", "logicalType": "timestamp-nanos"},
    {"type": "int", "logicalType": "date"},
    {"type": "string", "logicalType": "uuid"},
    {"type": "int", "logicalType": "nobody-knows"},
]
PLACED: dict[Path, AnswerType] = {
    ("nlp", "mood"): RecordOf({"label": "string", "score": "number", "n": "integer"}),
    ("nlp", "found"): MapOf(ListOf(RecordOf({"word": "string", "is_name": "boolean"}))),
    ("masked",): "string",
}
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        ("nlp", "mood"): st.none() | st.fixed_dictionaries(
            {"label": st.text(max_size=5)},
            optional={"score": st.none() | st.floats(0, 1), "n": st.integers(0, 9)},
        ),
        ("nlp", "found"): st.dictionaries(st.text(max_size=3), st.lists(
            st.fixed_dictionaries({"word": st.text(max_size=3), "is_name": st.booleans()}),
            max_size=3,
        ), max_size=2),
        ("masked",): st.text(max_size=9) | st.none(),
    },
)  # fmt: skip


class Made:
    """Schemas of one record, whose named types have names of their own, and values of them."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._names = 0

    def record(self, depth: int) -> tuple[dict[str, Any], st.SearchStrategy[Any]]:
        fields, values = [], {}
        for number in range(self._draw(st.integers(0, 4))):
            schema, value = self._type(depth)
            fields.append({"name": f"f{number}", "type": schema})
            values[f"f{number}"] = value
        schema = {"type": "record", "name": self._name(), "fields": fields}
        return schema, st.fixed_dictionaries(values)

    def _type(self, depth: int) -> tuple[Any, st.SearchStrategy[Any]]:
        kinds = ["primitive", "logical", "enum", "fixed"]
        kinds += ["array", "map", "union", "record", "chain"] if depth else []
        kind = self._draw(st.sampled_from(kinds))
        if kind == "primitive":
            name = self._draw(st.sampled_from(sorted(PRIMITIVES)))
            return name, PRIMITIVES[name]
        if kind == "logical":
            schema: dict[str, Any] = self._draw(st.sampled_from(LOGICAL))
            return schema, PRIMITIVES[str(schema["type"])]
        if kind == "record":
            return self.record(depth - 1)
        return getattr(self, f"_{kind}")(depth - 1)  # type: ignore[no-any-return]

    def _enum(self, _: int) -> tuple[Any, st.SearchStrategy[Any]]:
        symbols = ["A", "B", "C"]
        return {"type": "enum", "name": self._name(), "symbols": symbols}, st.sampled_from(symbols)

    def _fixed(self, _: int) -> tuple[Any, st.SearchStrategy[Any]]:
        return {"type": "fixed", "name": self._name(), "size": 3}, st.binary(min_size=3, max_size=3)

    def _array(self, depth: int) -> tuple[Any, st.SearchStrategy[Any]]:
        schema, value = self._type(depth)
        return {"type": "array", "items": schema}, st.lists(value, max_size=3)

    def _map(self, depth: int) -> tuple[Any, st.SearchStrategy[Any]]:
        schema, value = self._type(depth)
        return {"type": "map", "values": schema}, st.dictionaries(
            st.text(max_size=3), value, max_size=3
        )

    def _union(self, depth: int) -> tuple[Any, st.SearchStrategy[Any]]:
        schema, value = self._type(depth)
        if isinstance(schema, list) or schema == "null":
            return schema, value
        return ["null", schema], st.none() | value

    def _chain(self, _: int) -> tuple[Any, st.SearchStrategy[Any]]:
        """A record in records of its own kind."""
        name = self._name()
        schema = {"type": "record", "name": name, "fields": [
            {"name": "text", "type": "string"}, {"name": "next", "type": ["null", name]},
        ]}  # fmt: skip
        value = st.recursive(
            st.fixed_dictionaries({"text": st.text(max_size=3), "next": st.none()}),
            lambda inner: st.fixed_dictionaries({"text": st.text(max_size=3), "next": inner}),
            max_leaves=5,
        )
        return schema, value

    def _name(self) -> str:
        self._names += 1
        return f"T{self._names}"


@st.composite
def events(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A schema and an event of it."""
    schema, values = Made(draw).record(3)
    return schema, draw(values)


def as_stored(schema: Any) -> Any:
    """A schema by which a date is a number: it may be one that Python has no date for."""
    return json.loads(json.dumps(schema).replace('"logicalType"', '"said"'))


def kind_of(schema: dict[str, Any]) -> AvroEventSchema:
    """What events of a schema become; a schema that is not read is none of these tests'."""
    members = as_record(PLACED)
    try:
        read = AvroSchema(json.dumps(schema))
    except Invalid as error:
        assume(error.title != "arrays of nothing")
        raise
    return AvroEventSchema(read, AvroMembers(members), read.with_members(members), SchemaName(2))


@given(events(), ANSWERS)
def test_an_event_with_answers_is_its_own_bytes_and_those_of_answers(
    event: tuple[dict[str, Any], dict[str, Any]], answers: dict[Path, Any]
) -> None:
    schema, value = event
    kind, body = kind_of(schema), encoded(schema, value)

    values = {path: json.dumps(one).encode() for path, one in answers.items()}
    after = kind.event(FramedValue(1, body)).with_values(values)

    assert after.startswith(b"\x00\x00\x00\x00\x02" + body)
    record = decoded(as_stored(json.loads(kind.longer.text)), after[5:])
    nlp, masked = record.pop("nlp"), record.pop("masked")
    assert record == decoded(as_stored(schema), body) == kind.schema.decode(body)
    assert masked == answers.get(("masked",))
    for name in ("mood", "found"):
        given_ = answers.get(("nlp", name))
        found = None if nlp is None else nlp[name]
        if isinstance(given_, dict) and name == "mood":
            given_ = {"score": None, "n": None, **given_}
        assert found == given_


@given(events(), st.text(max_size=80))
def test_a_string_is_replaced_and_all_bytes_around_it_stay(
    event: tuple[dict[str, Any], dict[str, Any]], text: str
) -> None:
    schema, value = event
    read, body = kind_of(schema).schema, encoded(schema, value)
    for path, changed in with_each_string_changed(schema, value, text):
        read.refuse_masks([path])

        assert read.with_string(body, path, text) == encoded(schema, changed)


def with_each_string_changed(
    schema: Any, value: Any, text: str
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A path to each string within records, and the value with another text there."""
    for field in schema["fields"]:
        name, kind, inner = field["name"], field["type"], value[field["name"]]
        if isinstance(kind, list) and inner is not None:
            kind = kind[1]
        if kind == "string":
            yield (name,), {**value, name: text}
        elif isinstance(kind, dict) and kind["type"] == "record":
            for path, changed in with_each_string_changed(kind, inner, text):
                yield (name, *path), {**value, name: changed}


@given(events(), st.data())
def test_bytes_that_were_changed_are_read_or_refused(
    event: tuple[dict[str, Any], dict[str, Any]], data: st.DataObject
) -> None:
    schema, value = event
    kind, body = kind_of(schema), bytearray(encoded(schema, value))
    for _ in range(data.draw(st.integers(1, 3))):
        if body:
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(0, len(body)))])

    try:
        record = kind.schema.decode(cut)
    except Unreadable:
        return
    assert set(record) == kind.schema.fields
    # Also bytes that nobody wrote: what was read is what a text takes the place of.
    for path, changed in with_each_string_changed(schema, record, "masked"):
        masked = kind.schema.with_string(cut, path, "masked")
        # Compared in writing, as a number may be none (NaN), which equals nothing.
        assert repr(kind.schema.decode(masked)) == repr(changed)
