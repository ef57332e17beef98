"""A worker from its settings to its end: everything is put together here, and taken down again."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Final

import structlog
from tenacity import stop_never

from streamproc.clock import Clock, SystemClock
from streamproc.enrichment.catalogue import load_routes, route_topics
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.producer import Producer
from streamproc.kafka.state_publisher import StatePublisher
from streamproc.kafka.topics import RequestTopic, load_topics, record_limits
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.parts import HandOver
from streamproc.messages.publishing import Publish, ReplyRoute
from streamproc.metrics import Metrics
from streamproc.repository.repository import Repository
from streamproc.request_pipeline import Pipeline
from streamproc.serving.answer_cache import AnswerCache
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.inference.device_memory import device_memory
from streamproc.settings import Settings
from streamproc.tracing.installed import installed_tracer
from streamproc.tracing.tracer import Tracer
from streamproc.web.readiness import Readiness
from streamproc.web.server import build_app, serving
from streamproc.worker.caching import AnswerCaches
from streamproc.worker.enrichment import (
    refuse_shared_topics,
    route_subscriptions,
)
from streamproc.worker.gauges import set_gauges
from streamproc.worker.model_versions import ModelVersions
from streamproc.worker.models import Models
from streamproc.worker.promoted_versions import PromotedVersions
from streamproc.worker.registry import RegistryFormats
from streamproc.worker.routes import build_route, refuse_own_headers, require_default, served_tasks
from streamproc.worker.state import Served, StateReporter, new_worker_id, reporting

HANG_TIMEOUTS: Final = 3
"""Call time-outs that a call may be out for before the process ends."""

log = structlog.get_logger(__name__)


async def run_worker(settings: Settings, stop: asyncio.Event, tracer: Tracer | None = None) -> None:
    """Serve the requests of the settings' tasks until `stop`, then drain.

    tracer: None: that of the process, where there is one
    Raises OperatorError when it can't start, WorkerFault when it can't go on.
    """
    refuse_own_headers(settings)
    clock, metrics = SystemClock(), Metrics()
    tracer = tracer or installed_tracer(settings.group_id)
    routes = load_routes(settings)
    catalogue = load_topics(settings.topics_dir, required=not routes)
    repository = Repository(settings.models_dir)
    tasks = settings.tasks or served_tasks(catalogue, repository, required=not routes)
    topics = [topic for task in tasks for topic in catalogue.requests(task)]
    asked = dict.fromkeys((*tasks, *(answer.task for one in routes for answer in one.answers)))
    models = Models(settings, clock, metrics, tracer)
    limits = catalogue.limits(settings) | record_limits(route_topics(routes), settings)
    producer = Producer(settings, clock, limits=limits)
    publish = tracer.publishing(producer.send)
    registry = RegistryFormats(settings, routes, clock)
    caches = AnswerCaches(settings, models.provider, clock, metrics)
    try:
        await registry.prepare()
        await caches.start()
        versions = ModelVersions(
            models,
            settings.pinned_versions,
            clock,
            metrics,
            device_memory=device_memory(models.provider),
        )
        promoted = PromotedVersions(settings, catalogue.models_topic(), versions, clock)
        engines = versions.load(asked, await promoted.at_the_start())
        for topic in topics:
            require_default(topic, engines[topic.task])
        subscriptions = [
            *(
                _subscription(
                    topic,
                    build_route(topic, settings, catalogue.replies()),
                    engines[topic.task],
                    publish,
                    producer.hand_over,
                    clock,
                    metrics,
                    tracer,
                    caches.of_task(topic.task),
                )
                for topic in topics
            ),
            *route_subscriptions(
                routes,
                engines,
                publish,
                clock,
                metrics,
                registry.formats,
                tracer,
                caches.of_task,
            ),
        ]
        refuse_shared_topics(subscriptions)
        needed = {name for one in subscriptions for name in (one.topic, *one.publishes_to)}
        worker = KafkaWorker(
            settings,
            [replace(one, handler=tracer.consuming(one.handler)) for one in subscriptions],
            clock=clock,
            producer=producer,
            needed_topics=needed.union(settings.reply_topics, catalogue.replies()),
            must_end=lambda: (
                registry.refusal or _hangs_for_good(versions.engines(), settings.call_timeout_s)
            ),
            prepare=promoted.are_served,
        )
        readiness = Readiness(
            [worker.not_ready, registry.not_ready, versions.troubles],
            clock,
        )
        set_gauges(metrics, worker, subscriptions, readiness.reasons, clock)
        app = build_app(readiness.reasons, metrics.registry, caches.troubles)
        # Only a port that somebody chose is one that probes look at.
        or_free = "web_port" not in settings.model_fields_set
        with _models_out_of_gc():
            async with serving(app, settings.web_host, settings.web_port, or_free=or_free) as at:
                log.info(
                    "worker started",
                    device=models.provider.device,
                    provider=models.provider.name,
                    threads=models.executor.threads,
                    ensembles=sorted(
                        f"{engine.profile.name}@{engine.profile.version}"
                        for engine in versions.engines()
                    ),
                    topics=[one.topic for one in subscriptions],
                    routes=[route.name for route in routes],
                    health=f"{at}/v2/health/ready",
                )
                telling = asyncio.create_task(readiness.watch())
                preparing = asyncio.create_task(registry.prepare_late())
                shown = Served(
                    topics,
                    routes,
                    versions,
                    device=models.provider.device,
                    threads=models.executor.threads,
                    budget_tokens=models.budget_tokens,
                    device_memory=device_memory(models.provider),
                )
                try:
                    async with (
                        promoted.followed(),
                        _reporting(
                            settings,
                            catalogue.state_topic(),
                            shown,
                            worker,
                            readiness,
                            metrics,
                            clock,
                        ),
                    ):
                        await worker.run(stop)
                finally:
                    telling.cancel()
                    preparing.cancel()
                log.info("worker stopped")
    finally:
        await caches.close()
        await registry.close()
        await models.close()


def _subscription(
    topic: RequestTopic,
    route: ReplyRoute,
    engines: Engines,
    publish: Publish,
    hand_over: HandOver,
    clock: Clock,
    metrics: Metrics,
    tracer: Tracer,
    cache: AnswerCache | None,
) -> Subscription:
    """What is done with the requests of one topic, until the worker ends."""
    pipeline = Pipeline(
        route,
        engines,
        publish,
        clock=clock,
        metrics=metrics,
        stop_after=stop_never,
        hand_over=hand_over,
        tracer=tracer,
        cache=cache,
    )
    return Subscription(
        topic.name,
        topic.lane,
        pipeline,
        refuse=pipeline.refuse,
        publishes_to=frozenset({topic.responses, topic.dlq}),
    )


def _reporting(
    settings: Settings,
    topic: str | None,
    served: Served,
    worker: KafkaWorker,
    readiness: Readiness,
    metrics: Metrics,
    clock: Clock,
) -> AbstractAsyncContextManager[None]:
    """What says on the topic of states how the worker does, unless it is not to."""
    if not settings.state_interval_s:
        return nullcontext()
    if topic is None:
        log.warning(
            "state is not published: no topic of kind state is described; copy "
            "streamproc.state.v1.yaml, its schema and its example from those shipped",
            topics_dir=str(settings.topics_dir),
        )
        return nullcontext()
    name = new_worker_id()
    reporter = StateReporter(settings, served, worker, readiness.reasons, metrics, clock, name)
    return reporting(reporter, StatePublisher(settings, topic, name, clock))


@contextmanager
def _models_out_of_gc() -> Iterator[None]:
    """Models and libraries stay until the end: no full collection looks through them.

    That would hold up the event loop for a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _hangs_for_good(engines: Sequence[Engine], call_timeout_s: float) -> str | None:
    """Why the process has to end, as nothing else ends a call that hangs."""
    for engine in engines:
        member, out_s = engine.health.hung() or ("", 0.0)
        if out_s > HANG_TIMEOUTS * call_timeout_s:
            return (
                f"member {member} of ensemble {engine.profile.name} has not returned from a call "
                f"for {out_s:.0f} s (STREAMPROC_CALL_TIMEOUT_S is {call_timeout_s:g}), and only "
                "the end of the process ends such a call; start it again"
            )
    return None
