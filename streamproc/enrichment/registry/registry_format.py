"""Events whose schemas a registry holds: each schema is looked up once, and its longer one made.

A registry that is away is waited for: nothing is wrong with the event. What the registry does not
know, or does not take, is the event's fault, and makes a dead letter of it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

import structlog

from streamproc.clock import Clock
from streamproc.enrichment.event import Event
from streamproc.enrichment.registry.answer_types import (
    as_record,
    masked_in_place,
    placed_types,
)
from streamproc.enrichment.registry.avro_event import AvroEventSchema
from streamproc.enrichment.registry.avro_schema import AvroMembers, AvroSchema
from streamproc.enrichment.registry.json_schema import with_answers
from streamproc.enrichment.registry.registry_json_event import JsonEventSchema
from streamproc.enrichment.registry.schemas import Registry, Schema, referenced
from streamproc.enrichment.registry.wire_format import FramedValue, SchemaName, SchemaRef
from streamproc.enrichment.route import Route
from streamproc.errors import Invalid, RegistryUnavailable, TopicsError, Unreadable
from streamproc.kafka.backoff import backoff_s
from streamproc.messages.record import Record

REFUSAL_S: Final = 10.0
"""Seconds for which what was wrong with a schema is taken to be so still."""

MAX_REFUSALS: Final = 1000
RECENT_VERSIONS: Final = 20
"""Of an input topic's schemas, those that are registered at start."""

EventSchema = AvroEventSchema | JsonEventSchema
Result = TypeVar("Result")

log = structlog.get_logger(__name__)


class RegistryFormat:
    """The events of one route, in Avro or JSON with a schema."""

    def __init__(self, route: Route, registry: Registry, clock: Clock) -> None:
        self._route = route
        self._registry = registry
        self._clock = clock
        self._type = "AVRO" if route.from_.format == "avro" else "JSON"
        self._placed = placed_types(route)
        self._masked = masked_in_place(route)
        self._known: dict[SchemaRef, EventSchema] = {}
        self._refused: dict[SchemaRef, tuple[float, Invalid]] = {}
        self._turns: defaultdict[SchemaRef, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waits: dict[object, str] = {}
        self._prepared = asyncio.Event()
        self._prepared.set()

    def not_ready(self) -> list[str]:
        """Why events wait for the registry; empty where none does."""
        return sorted(set(self._waits.values()))

    async def open(self, record: Record) -> Event:
        """See `EventFormat`; waits while the registry is away."""
        framed = FramedValue.of(record)
        await self._prepared.wait()
        known = self._known.get(framed.ref)
        if known is None:
            known = await self._looked_up(framed.ref)
        return known.event(framed)

    async def prepare(self, tries: int | None = None) -> None:
        """Register what comes of the schemas that the topics have now; events wait until then.

        In the order of their versions, so that the output's are compatible as the input's are: an
        older one may not be taken behind a newer, and there may be events of it.
        tries: None, so often as it takes until the registry answers
        Raises TopicsError where the registry does not take the last, and RegistryUnavailable.
        """
        self._prepared.clear()
        for topic in self._route.from_.topics:
            subject = f"{topic}-value"
            try:
                ask = partial(self._registry.versions, subject, RECENT_VERSIONS)
                versions = await self._answer(ask, tries)
                if not versions:
                    log.info("no schema yet", route=self._route.name, subject=subject)
                for schema in versions[:-1]:
                    await self._prepare_older(subject, schema, tries)
                for schema in versions[-1:]:
                    await self._answer(partial(self._made, schema), tries)
            except Invalid as error:
                raise TopicsError(f"route {self._route.name}: {subject}: {error}") from None
        self._prepared.set()

    async def _prepare_older(self, subject: str, schema: Schema, tries: int | None) -> None:
        try:
            await self._answer(partial(self._made, schema), tries)
        except Invalid as error:
            log.warning(
                "events of an older schema would be dead letters",
                route=self._route.name, subject=subject, error=str(error),
            )  # fmt: skip

    async def _looked_up(self, ref: SchemaRef) -> EventSchema:
        async with self._turns[ref]:
            try:
                if ref not in self._known:
                    self._refuse_again(ref)
                    schema = await self._answer(partial(self._registry.schema, ref))
                    self._known[ref] = await self._answer(partial(self._made, schema))
                return self._known[ref]
            except Invalid as error:
                self._remember(ref, error)
                raise
            finally:
                # Whoever waits for this turn has it still, and finds what became of it.
                self._turns.pop(ref, None)

    def _refuse_again(self, ref: SchemaRef) -> None:
        until_s, reason = self._refused.get(ref, (0.0, None))
        if reason is not None and self._clock.monotonic_s() < until_s:
            raise reason.with_traceback(None)
        self._refused.pop(ref, None)

    def _remember(self, ref: SchemaRef, reason: Invalid) -> None:
        # Bytes that are no schema's id say another one in every record.
        if len(self._refused) >= MAX_REFUSALS:
            self._refused.clear()
        self._refused.setdefault(ref, (self._clock.monotonic_s() + REFUSAL_S, reason))

    async def _made(self, schema: Schema) -> EventSchema:
        """What events of a schema become; the longer schema is registered."""
        if schema.type != self._type:
            raise Unreadable(
                "another format", f"the schema's type is {schema.type}, not {self._type}"
            )
        if self._type == "JSON":
            text = with_answers(schema.text, self._placed)
            return JsonEventSchema(await self._registered(text, schema))
        used = [one.text for one in (await referenced(self._registry, schema)).values()]
        members = as_record(self._placed)
        read = AvroSchema(schema.text, used)
        read.refuse_masks(self._masked)
        longer = read.with_members(members)
        name = await self._registered(longer.text, schema)
        return AvroEventSchema(read, AvroMembers(members), longer, name, self._masked)

    async def _registered(self, text: str, schema: Schema) -> SchemaName:
        to = self._route.to
        subject = to.subject or f"{to.topic}-value"
        return await self._registry.register(subject, replace(schema, text=text))

    async def _answer(
        self, ask: Callable[[], Awaitable[Result]], tries: int | None = None
    ) -> Result:
        """What the registry answers once it does; tries: None, so often as it takes."""
        asker = object()
        try:
            for number, wait_s in enumerate(backoff_s(), start=1):
                try:
                    return await ask()
                except RegistryUnavailable as error:
                    if number == tries:
                        raise
                    if asker not in self._waits:
                        log.warning("schema registry", route=self._route.name, error=str(error))
                    self._waits[asker] = str(error)
                await self._clock.sleep(wait_s)
        finally:
            self._waits.pop(asker, None)
        raise AssertionError("backoff_s ends")
