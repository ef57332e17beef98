"""A schema registry in memory, for tests of what is done with one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid5

from streamproc.enrichment.registry.schemas import Reference, Schema, UnknownSchema
from streamproc.enrichment.registry.wire_format import SchemaName, SchemaRef

_SPACE = UUID(int=7)


class MemoryRegistry:
    """Schemas by id and by subject.

    before: called with the name of each call before it is answered; what it raises is raised
    asked:  the names of all calls
    """

    def __init__(self, *, has_guids: bool = True) -> None:
        self.before: Callable[[str], None] = lambda name: None
        self.asked: list[str] = []
        self._has_guids = has_guids
        self._schemas: dict[int, Schema] = {}
        self._subjects: dict[str, list[int]] = {}

    def add(
        self,
        subject: str,
        schema: dict[str, Any] | str,
        type_: str = "AVRO",
        references: tuple[Reference, ...] = (),
    ) -> SchemaName:
        """Register a schema as somebody else would."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        return self._add(subject, Schema(text, type_, references))

    def under(self, subject: str) -> list[Schema]:
        """The versions of a subject."""
        return [self._schemas[one] for one in self._subjects.get(subject, [])]

    def by_id(self, id_: int) -> Schema:
        """The schema of an id."""
        return self._schemas[id_]

    async def schema(self, ref: SchemaRef) -> Schema:
        """See `Registry`."""
        self._asked("schema")
        for id_, schema in self._schemas.items():
            if ref in (id_, _guid(id_)):
                return schema
        raise UnknownSchema("unknown schema", f"the registry has none of id {ref}")

    async def versions(self, subject: str, last: int) -> list[Schema]:
        """See `Registry`."""
        self._asked("versions")
        return self.under(subject)[-last:]

    async def version(self, reference: Reference) -> Schema:
        """See `Registry`."""
        self._asked("version")
        return self.under(reference.subject)[reference.version - 1]

    async def register(self, subject: str, schema: Schema) -> SchemaName:
        """See `Registry`."""
        self._asked("register")
        return self._add(subject, schema)

    def _asked(self, name: str) -> None:
        self.asked.append(name)
        self.before(name)

    def _add(self, subject: str, schema: Schema) -> SchemaName:
        known = [id_ for id_, one in self._schemas.items() if one == schema]
        id_ = known[0] if known else len(self._schemas) + 1
        self._schemas[id_] = schema
        versions = self._subjects.setdefault(subject, [])
        if id_ not in versions:
            versions.append(id_)
        return SchemaName(id_, _guid(id_) if self._has_guids else None)


def _guid(id_: int) -> UUID:
    return uuid5(_SPACE, str(id_))
