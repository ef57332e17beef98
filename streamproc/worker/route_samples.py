"""Samples of a route's events, which people write as JSON, as the records that they stand for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from streamproc.clock import Clock
from streamproc.enrichment.event import EventFormat
from streamproc.enrichment.route import Route
from streamproc.errors import Invalid, RegistryUnavailable, SettingsError, TopicsError
from streamproc.messages.record import Record
from streamproc.settings import Settings
from streamproc.worker.registry import missing_extra

if TYPE_CHECKING:
    from streamproc.enrichment.registry.samples import SampleRegistry
    from streamproc.enrichment.registry.schemas import Reference, Schema


class RouteSamples:
    """Samples as records, and what comes out as JSON. No registry is told of anything.

    format: how the records are written; None: as the route says, without schemas
    """

    def __init__(
        self, registry: SampleRegistry | None = None, format_: EventFormat | None = None
    ) -> None:
        """registry: of the schema that the samples have; None: they have none"""
        self._registry = registry
        self.format = format_

    def record(self, sample: Record) -> Record:
        """The record that a sample stands for; raises Invalid where it is not of the schema."""
        if self._registry is None or sample.value is None:
            return sample
        return replace(sample, value=self._registry.value(sample.value))

    def shown(self, value: bytes | None) -> bytes:
        """The JSON text of a value that came out."""
        if value is None:
            return b"null"
        return value if self._registry is None else self._registry.shown(value)


async def open_samples(
    settings: Settings, route: Route, folder: Path, clock: Clock
) -> RouteSamples:
    """What reads samples of a route whose file is in `folder`.

    Their schema is the file that the route names, or the topic's last one in the registry.
    Raises OperatorError where it is in neither, or answers can't be put into its events.
    """
    if not route.from_.has_registry:
        return RouteSamples()
    try:
        from streamproc.enrichment.registry.registry_format import (  # noqa: PLC0415
            RegistryFormat,
        )
        from streamproc.enrichment.registry.samples import SampleRegistry  # noqa: PLC0415
    except ImportError as missing:
        raise missing_extra(route, missing) from None
    schema, used = await _schema(settings, route, folder)
    registry = SampleRegistry(schema, used)
    format_ = RegistryFormat(route, registry, clock)
    await format_.prepare(tries=1)
    return RouteSamples(registry, format_)


async def _schema(
    settings: Settings, route: Route, folder: Path
) -> tuple[Schema, dict[Reference, Schema]]:
    from streamproc.enrichment.registry.schemas import Schema  # noqa: PLC0415 - the extra

    kind = "AVRO" if route.from_.format == "avro" else "JSON"
    if route.from_.schema_ is not None:
        file = folder / route.from_.schema_
        try:
            return Schema(file.read_text("utf-8"), kind), {}
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            raise TopicsError(f"route {route.name}: from.schema: {file}: {reason}") from None
    if settings.schema_registry_url is not None:
        return await _latest(settings, route)
    if kind == "JSON":
        return Schema("{}", kind), {}
    raise SettingsError(
        f"route {route.name}: samples in Avro need their schema: name its file as from.schema, or "
        "set STREAMPROC_SCHEMA_REGISTRY_URL"
    )


async def _latest(settings: Settings, route: Route) -> tuple[Schema, dict[Reference, Schema]]:
    from streamproc.enrichment.registry.confluent_client import (  # noqa: PLC0415 - the extra
        ConfluentRegistry,
    )
    from streamproc.enrichment.registry.schemas import referenced  # noqa: PLC0415 - the extra

    registry, subject = ConfluentRegistry(settings), f"{route.from_.topics[0]}-value"
    try:
        found = await registry.versions(subject, 1)
        if not found:
            raise TopicsError(f"route {route.name}: the registry has no subject {subject}")
        return found[0], await referenced(registry, found[0])
    except (Invalid, RegistryUnavailable) as error:
        raise TopicsError(f"route {route.name}: {error}") from None
    finally:
        await registry.close()
