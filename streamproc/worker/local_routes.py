"""A route without Kafka: for trying it on events, and for checking its examples."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from tenacity import stop_after_attempt

from streamproc.clock import Clock
from streamproc.enrichment.enricher import Enricher
from streamproc.enrichment.event import EventFormat
from streamproc.enrichment.route import Route
from streamproc.metrics import Metrics
from streamproc.settings import Settings
from streamproc.worker.enrichment import build_enricher, require_ensembles
from streamproc.worker.local import LOCAL_ATTEMPTS, refuse_to_publish
from streamproc.worker.models import Models


@asynccontextmanager
async def local_enricher(
    settings: Settings, route: Route, clock: Clock, events: EventFormat | None = None
) -> AsyncIterator[Enricher]:
    """The enricher of a route, to be used by its `enrich`; its ensembles alone are loaded.

    events: how they are written; None: as the route says, without schemas
    Raises OperatorError.
    """
    metrics = Metrics()
    models = Models(settings, clock, metrics)
    tasks = {answer.task for answer in route.answers}
    wanted: Collection[str] = {answer.ensemble for answer in route.answers}
    try:
        require_ensembles(route, {task: models.names(task) for task in tasks})
        engines = {task: models.load_task(task, wanted) for task in tasks}
        yield build_enricher(
            route,
            engines,
            refuse_to_publish,
            clock,
            metrics,
            stop_after_attempt(LOCAL_ATTEMPTS),
            events,
        )
    finally:
        await models.close()
