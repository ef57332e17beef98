"""Routes put together with the engines of the tasks that their answers ask."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from tenacity import stop_never
from tenacity.stop import stop_base

from streamproc.clock import Clock
from streamproc.did_you_mean import there_are
from streamproc.enrichment.enricher import Enricher
from streamproc.enrichment.event import EventFormat
from streamproc.enrichment.route import Route
from streamproc.enrichment.together import run_together
from streamproc.errors import ModelRefused, TopicsError
from streamproc.kafka.dispatcher import Subscription
from streamproc.messages.dead_letter_bound import DeadLetterBound
from streamproc.messages.publishing import Publish
from streamproc.messages.record import Record
from streamproc.metrics import Metrics
from streamproc.serving.answerer import Answerer
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.profiles import FULL, TopicProfile
from streamproc.serving.traffic_split import TrafficSplit
from streamproc.tracing.tracer import NO_TRACER, Tracer
from streamproc.worker.caching import CacheOf
from streamproc.worker.topic_profiles import TopicProfiles

SplitOf = Callable[[Route, str], TrafficSplit | None]
"""The experiments that what a route asks a task may be in."""
TaskEngines = Mapping[str, Engines]
"""The engines of each task."""


def build_enricher(
    route: Route,
    engines: TaskEngines,
    publish: Publish,
    clock: Clock,
    metrics: Metrics,
    stop_after: stop_base = stop_never,
    events: EventFormat | None = None,
    tracer: Tracer = NO_TRACER,
    cache_of: CacheOf = lambda _, __: None,
    profile: TopicProfile = FULL,
    split_of: SplitOf = lambda _, __: None,
    bound: DeadLetterBound | None = None,
) -> Enricher:
    """The enricher of one route; raises ModelRefused where an answer's ensemble is not there."""
    require_ensembles(route, engines)
    answerers = {
        answer.task: Answerer(
            answer.task,
            engines[answer.task],
            default_ensemble=answer.ensemble,
            lane=route.from_.priority,
            clock=clock,
            metrics=metrics,
            stop_after=stop_after,
            cache=cache_of(route, answer.task),
            profile=profile,
            split=split_of(route, answer.task),
            bound=bound,
        )
        for answer in route.answers
    }
    return Enricher(
        route, answerers, publish, clock=clock, metrics=metrics, events=events, tracer=tracer
    )


def route_subscriptions(
    routes: Sequence[Route],
    engines: TaskEngines,
    publish: Publish,
    clock: Clock,
    metrics: Metrics,
    formats: Mapping[str, EventFormat],
    tracer: Tracer = NO_TRACER,
    cache_of: CacheOf = lambda _, __: None,
    profiles: TopicProfiles | None = None,
    split_of: SplitOf = lambda _, __: None,
    bound: DeadLetterBound | None = None,
) -> list[Subscription]:
    """One subscription for each topic that routes read.

    formats: how events are written, by the name of the route, where a schema registry says it
    profiles: which members are asked; None: all
    """
    enrichers: dict[str, list[Enricher]] = {}
    for route in routes:
        require_ensembles(route, engines)
        profile = FULL
        if profiles is not None:
            profile = profiles.of_route(route, partial(_engines_of, route, engines))
        enricher = build_enricher(
            route,
            engines,
            publish,
            clock,
            metrics,
            events=formats.get(route.name),
            tracer=tracer,
            cache_of=cache_of,
            profile=profile,
            split_of=split_of,
            bound=bound,
        )
        for topic in route.from_.topics:
            enrichers.setdefault(topic, []).append(enricher)
    handlers = {
        topic: readers[0] if len(readers) == 1 else _Several(readers)
        for topic, readers in enrichers.items()
    }
    return [
        Subscription(
            topic,
            readers[0].route.from_.priority,
            handlers[topic],
            refuse=handlers[topic].refuse,
            publishes_to=frozenset(
                name for one in readers for name in (one.route.to.topic, one.route.dlq)
            ),
            starts_at_end=all(one.route.from_.start == "latest" for one in readers),
        )
        for topic, readers in enrichers.items()
    ]


def _engines_of(route: Route, engines: TaskEngines) -> list[Engine]:
    """Those that answer for a route now."""
    return [engines[answer.task][answer.ensemble] for answer in route.answers]


def refuse_shared_topics(subscriptions: Sequence[Subscription]) -> None:
    """Raises TopicsError where a topic of requests is also one of a route's events."""
    topics = [one.topic for one in subscriptions]
    if shared := {topic for topic in topics if topics.count(topic) > 1}:
        raise TopicsError(
            f"{', '.join(sorted(shared))}: a route can't read a topic of requests; "
            "let it read the topic that the requests are made from"
        )


class _Several:
    """The enrichers of all routes that read one topic: an event is done once it is through all."""

    def __init__(self, enrichers: Sequence[Enricher]) -> None:
        self._enrichers = enrichers

    async def __call__(self, record: Record) -> None:
        await run_together(enricher(record) for enricher in self._enrichers)

    async def refuse(self, record: Record, title: str, detail: str, /) -> None:
        for enricher in self._enrichers:
            await enricher.refuse(record, title, detail)


def require_ensembles(route: Route, by_task: Mapping[str, Collection[str]]) -> None:
    """Raises ModelRefused where an answer's ensemble is not there. by_task: the names there are."""
    for answer in route.answers:
        there = by_task.get(answer.task, ())
        if answer.ensemble not in there:
            raise ModelRefused(
                f"route {route.name}: answers: {answer.name}: no ensemble {answer.ensemble!r} for "
                f"{answer.task}; {there_are(answer.ensemble, sorted(there))}"
            )
