"""What a schema registry is to a route: schemas by id, and a subject to register its own under."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from streamproc.enrichment.registry.wire_format import SchemaName, SchemaRef
from streamproc.errors import Invalid, Unreadable


@dataclass(frozen=True, slots=True)
class Reference:
    """A schema that another one uses by `name`."""

    name: str
    subject: str
    version: int


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema as a registry holds it.

    type:  `AVRO`, `JSON`, or another that is not read here
    terms: its metadata and rules, as the client has them; they go on with a schema made of it
    """

    text: str
    type: str
    references: tuple[Reference, ...] = ()
    terms: tuple[Any, Any] = (None, None)


class UnknownSchema(Unreadable):
    """The registry has no schema of that id."""


class SchemaRefused(Invalid):
    """The registry does not take a schema under a subject."""


class Registry(Protocol):
    """A schema registry; every call may raise RegistryUnavailable."""

    async def schema(self, ref: SchemaRef) -> Schema:
        """The schema of an id; raises UnknownSchema where there is none."""
        ...

    async def versions(self, subject: str, last: int) -> list[Schema]:
        """So many of the last versions under a subject, oldest first; none without a subject."""
        ...

    async def version(self, reference: Reference) -> Schema:
        """The schema that another one refers to; raises UnknownSchema where it is not there."""
        ...

    async def register(self, subject: str, schema: Schema) -> SchemaName:
        """The schema under a subject, registered unless it is; raises SchemaRefused."""
        ...


async def referenced(registry: Registry, schema: Schema) -> dict[Reference, Schema]:
    """The schemas that a schema refers to, and that those refer to, each before its users."""
    found: dict[Reference, Schema] = {}
    await _collect(registry, schema, found)
    return found


async def _collect(registry: Registry, schema: Schema, found: dict[Reference, Schema]) -> None:
    for reference in schema.references:
        if reference not in found:
            used = await registry.version(reference)
            await _collect(registry, used, found)
            found[reference] = used
