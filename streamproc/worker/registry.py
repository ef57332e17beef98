"""The schema registry that routes need, if any does: an extra, imported only then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamproc.clock import Clock
from streamproc.enrichment.route import Route
from streamproc.errors import SettingsError
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.enrichment.registry.confluent_client import ConfluentRegistry
    from streamproc.enrichment.registry.registry_format import RegistryFormat


class RegistryFormats:
    """How the events of routes are written whose schemas a registry holds.

    formats: by the name of the route; empty where no route needs a registry
    """

    def __init__(self, settings: Settings, routes: Sequence[Route], clock: Clock) -> None:
        """Raises SettingsError where a route needs a registry, and none is named or installed."""
        self.formats: dict[str, RegistryFormat] = {}
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
        """Register what comes of the schemas there are now; raises TopicsError."""
        for one in self.formats.values():
            await one.prepare()

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
