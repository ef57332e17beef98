"""A route without Kafka: for trying it on events, and for checking its examples."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from tenacity import stop_after_attempt

from streamproc.clock import Clock
from streamproc.enrichment.enricher import Enricher
from streamproc.enrichment.event import EventFormat
from streamproc.enrichment.examples import route_examples
from streamproc.enrichment.route import Route
from streamproc.errors import Invalid
from streamproc.messages.record import Record
from streamproc.metrics import Metrics
from streamproc.serving.engine import Engines
from streamproc.serving.profiles import TopicProfile
from streamproc.settings import Settings
from streamproc.worker.enrichment import build_enricher, require_ensembles
from streamproc.worker.local import LOCAL_ATTEMPTS, refuse_to_publish
from streamproc.worker.models import Models
from streamproc.worker.route_samples import open_samples


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
        engines = {task: Engines(models.load_task(task, wanted)) for task in tasks}
        yield build_enricher(
            route,
            engines,
            refuse_to_publish,
            clock,
            metrics,
            stop_after_attempt(LOCAL_ATTEMPTS),
            events,
            profile=TopicProfile(route.profile or settings.profile),
        )
    finally:
        await models.close()


def as_records(route: Route, events: Iterable[bytes], now_ms: int) -> Iterator[Record]:
    """Events as they would lie in the first topic of a route; blank ones are left out."""
    for offset, event in enumerate(events):
        if event.strip():
            yield Record(route.from_.topics[0], 0, offset, now_ms, None, event)


async def example_differences(
    settings: Settings, route: Route, folder: Path, clock: Clock
) -> list[str]:
    """Where what comes out of a route's examples is not what is expected, a line a place.

    folder: of the route's file, where its examples lie
    Raises OperatorError.
    """
    examples = route_examples(route, folder)
    differences: list[str] = []
    samples = await open_samples(settings, route, folder, clock)
    async with local_enricher(settings, route, clock, samples.format) as enricher:
        for example in examples:
            (sample,) = as_records(route, [example.event], clock.now_ms())
            try:
                enriched = await enricher.enrich(samples.record(sample))
                found = example.differences(route, samples.shown(enriched.value))
            except Invalid as reason:
                found = [f"it would be a dead letter: {reason}"]
            differences += [f"{example.file.name}: {line}" for line in found]
    return differences
