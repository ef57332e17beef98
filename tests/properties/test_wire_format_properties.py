"""Where a record says its schema, against Confluent's own reading of it."""

from __future__ import annotations

import struct
from uuid import UUID

from confluent_kafka.schema_registry import dual_schema_id_deserializer
from confluent_kafka.schema_registry.serde import SchemaId
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError
from hypothesis import given
from hypothesis import strategies as st

from streamproc.enrichment.registry.wire_format import (
    VALUE_SCHEMA_ID,
    FramedValue,
    SchemaName,
    SchemaRef,
)
from streamproc.errors import Unreadable
from streamproc.messages.record import Headers, Record

IDS = st.integers(0, 2**32 - 1)
SAID = (
    IDS.map(lambda id_: b"\x00" + id_.to_bytes(4, "big"))
    | st.uuids().map(lambda guid: b"\x01" + guid.bytes)
    | st.binary(max_size=20)
)
NAMES = st.builds(SchemaName, IDS, st.none() | st.uuids())


def theirs(value: bytes, headers: Headers) -> tuple[SchemaRef, bytes] | None:
    """What Confluent's client takes for schema and body; None where it raises an error."""
    given_: list[tuple[str, str | bytes | None]] = [
        (name, said) for name, said in headers if said is not None
    ]
    context = SerializationContext("t", MessageField.VALUE, given_)
    found = SchemaId("AVRO")
    try:
        body = dual_schema_id_deserializer(value, context, found).read()
    except (SerializationError, ValueError, struct.error):
        return None
    ref: SchemaRef | None = found.guid if found.guid is not None else found.id
    return None if ref is None else (ref, body)


@given(SAID, st.binary(max_size=5), st.booleans())
def test_schema_and_body_are_what_confluents_client_takes_them_for(
    said: bytes, body: bytes, in_header: bool
) -> None:
    value, headers = (body, ((VALUE_SCHEMA_ID, said),)) if in_header else (said + body, ())
    expected = theirs(value, headers)
    try:
        found = FramedValue.of(Record("t", 0, 0, 0, None, value, headers))
    except Unreadable:
        # A header that goes on behind its id is no header of theirs.
        assert expected is None or in_header
        return

    assert (found.ref, found.body) == expected


@given(SAID, st.binary(max_size=5), st.booleans(), NAMES)
def test_a_new_schema_is_said_so_that_confluents_client_finds_it(
    said: bytes, body: bytes, in_header: bool, name: SchemaName
) -> None:
    value, headers = (body, ((VALUE_SCHEMA_ID, said),)) if in_header else (said + body, ())
    try:
        found = FramedValue.of(Record("t", 0, 0, 0, None, value, headers))
    except Unreadable:
        return
    wanted: SchemaRef = name.id
    if isinstance(found.ref, UUID) and name.guid is not None:
        wanted = name.guid

    after = found.value(name, b"new")

    assert theirs(after, found.headers(headers, name)) == (wanted, b"new")
    assert found.body_of(after) == b"new"
