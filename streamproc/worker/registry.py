"""The schema registry that routes need, if any does: an extra, imported only then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from streamproc.clock import Clock
from streamproc.enrichment.route import Route
from streamproc.errors import RegistryUnavailable, SettingsError, TopicsError
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.enrichment.registry.confluent_client import ConfluentRegistry
    from streamproc.enrichment.registry.registry_format import RegistryFormat

START_TRIES: Final = 3
"""Times that a registry which is away is asked before the worker starts without it."""


class RegistryFormats:
    """How the events of routes are written whose schemas a registry holds.

    formats: by the name of the route; empty where no route needs a registry
    refusal: why the worker can't go on, as a schema was refused after the start
    """

    def __init__(self, settings: Settings, routes: Sequence[Route], clock: Clock) -> None:
        """Raises SettingsError where a route needs a registry, and none is named or installed."""
        self.formats: dict[str, RegistryFormat] = {}
        self.refusal: str | None = None
        self._late: list[RegistryFormat] = []
        self._registry: ConfluentRegistry | None = None
        needing = [route for route in routes if route.from_.has_registry]
        if not needing:
            return
        try:
            from streamproc.enrichment.registry.confluent_client import (  # noqa: PLC0415
                ConfluentRegistry,
            )
            from streamproc.enrichment.registry.registry_format import (  # noqa: PLC0415
                RegistryFormat,
            )
        except ImportError as missing:
            raise missing_extra(needing[0], missing) from None
        self._registry = registry = ConfluentRegistry(settings)
        self.formats = {route.name: RegistryFormat(route, registry, clock) for route in needing}

    async def prepare(self) -> None:
        """Register what comes of the schemas there are now; raises TopicsError for one refused.

        A registry that is away holds up events, and not the start.
        """
        for one in self.formats.values():
            try:
                await one.prepare(START_TRIES)
            except RegistryUnavailable:
                self._late.append(one)

    async def prepare_late(self) -> None:
        """The same, once the registry is there, for what `prepare` could not do."""
        try:
            for one in self._late:
                await one.prepare()
        except TopicsError as error:
            self.refusal = str(error)

    def not_ready(self) -> list[str]:
        """Why events wait for the registry; empty where none does."""
        return [reason for one in self.formats.values() for reason in one.not_ready()]

    async def close(self) -> None:
        """Close the registry's connections."""
        if self._registry is not None:
            await self._registry.close()


def missing_extra(route: Route, missing: ImportError) -> SettingsError:
    """That what reads a route's events is not installed."""
    return SettingsError(
        f"route {route.name}: from.format: {route.from_.format} needs {missing.name}, which is not "
        'installed: pip install "streamproc[registry]"'
    )
