"""What of a route is allowed, and probably not what was meant."""

from __future__ import annotations

from streamproc.enrichment.route import Route


def advice_for_workers(route: Route, registry_url: str | None) -> list[str]:
    """A sentence for each thing to look at before a worker serves the route.

    registry_url: of the schema registry, as the settings have it
    """
    said = advice_on(route)
    if route.from_.has_registry and registry_url is None:
        said.append(
            f"from.format: {route.from_.format} needs a schema registry where a worker runs, and "
            "STREAMPROC_SCHEMA_REGISTRY_URL is not set"
        )
    return said


def advice_on(route: Route) -> list[str]:
    """A sentence for each thing that whoever wrote the route should look at."""
    said = []
    for spec in route.answers:
        if spec.is_beside and "." in spec.to:
            pointer = "/" + spec.to.strip(".").replace(".", "/")
            said.append(
                f"answers: {spec.name}: to: {spec.to} is the name of one member, beside each text; "
                f"a place within the event is a pointer, as in to: {pointer}"
            )
    return said
