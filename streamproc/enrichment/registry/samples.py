"""Samples of events, written as JSON: a registry of their one schema, which registers nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from streamproc.enrichment.registry.avro_json import as_json
from streamproc.enrichment.registry.avro_schema import AvroSchema
from streamproc.enrichment.registry.schemas import Reference, Schema
from streamproc.enrichment.registry.wire_format import FramedValue, SchemaName, SchemaRef
from streamproc.errors import Invalid

_INPUT: Final = SchemaName(1)
_OUTPUT: Final = SchemaName(2)


class SampleRegistry:
    """The schema of samples, and the one that comes of it."""

    def __init__(self, schema: Schema, used: Mapping[Reference, Schema] | None = None) -> None:
        """used: the schemas that it refers to"""
        self._schema = schema
        self._used = used or {}
        self._output = schema
        self._parsed: dict[str, AvroSchema] = {}

    async def schema(self, ref: SchemaRef) -> Schema:
        """See `Registry`."""
        return self._schema

    async def versions(self, subject: str, last: int) -> list[Schema]:
        """See `Registry`."""
        return [self._schema]

    async def version(self, reference: Reference) -> Schema:
        """See `Registry`."""
        return self._used[reference]

    async def register(self, subject: str, schema: Schema) -> SchemaName:
        """See `Registry`; kept for `shown` alone."""
        self._output = schema
        return _OUTPUT

    def value(self, sample: bytes) -> bytes:
        """A record's value that a sample is; raises Invalid where it is not of the schema."""
        body = sample
        if self._schema.type == "AVRO":
            try:
                parsed = json.loads(sample)
            except (ValueError, RecursionError) as error:
                raise Invalid("not JSON", str(error)) from None
            body = self._avro(self._schema).encode(parsed)
        return FramedValue(_INPUT.id, body).value(_INPUT, body)

    def shown(self, value: bytes) -> bytes:
        """The JSON text of a value that came out."""
        framed = FramedValue.of_value(value)
        if self._schema.type != "AVRO":
            return framed.body
        schema = self._schema if framed.ref == _INPUT.id else self._output
        record = self._avro(schema).decode(framed.body)
        shown = json.dumps(record, default=as_json, separators=(",", ":"), ensure_ascii=False)
        return shown.encode()

    def _avro(self, schema: Schema) -> AvroSchema:
        if schema.text not in self._parsed:
            used = [one.text for one in self._used.values()]
            self._parsed[schema.text] = AvroSchema(schema.text, used)
        return self._parsed[schema.text]
