"""A worker from its settings to its end: everything is put together here, and taken down again."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Final, Self

import structlog
from tenacity import stop_never

from streamproc.clock import SystemClock
from streamproc.enrichment.catalogue import load_routes, route_topics
from streamproc.enrichment.route import Route
from streamproc.kafka.background import beside
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.outbox import Outbox
from streamproc.kafka.producer import Producer
from streamproc.kafka.requests_in_flight import Handler
from streamproc.kafka.state_publisher import StatePublisher
from streamproc.kafka.topics import RequestTopic, TopicCatalogue, load_topics, record_limits
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.dead_letter_bound import DeadLetterBound
from streamproc.messages.publishing import Publish
from streamproc.metrics import Metrics
from streamproc.repository.repository import Repository
from streamproc.request_pipeline import Pipeline
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.inference.device_memory import device_memory
from streamproc.settings import Settings
from streamproc.tracing.installed import installed_tracer
from streamproc.tracing.tracer import Tracer
from streamproc.web.readiness import Readiness
from streamproc.web.server import build_app, serving
from streamproc.worker.caching import AnswerCaches
from streamproc.worker.canaries import Canaries
from streamproc.worker.enrichment import (
    refuse_shared_topics,
    route_subscriptions,
)
from streamproc.worker.experiments.running import RunningExperiments
from streamproc.worker.followed_cancels import FollowedCancels
from streamproc.worker.garbage import bounded_collections, collect_at_leisure
from streamproc.worker.gauges import set_gauges
from streamproc.worker.model_versions import ModelVersions
from streamproc.worker.models import Models
from streamproc.worker.promoted_versions import PromotedVersions
from streamproc.worker.registry import RegistryFormats
from streamproc.worker.routes import build_route, refuse_own_headers, require_default, served_tasks
from streamproc.worker.state import Served, StateReporter, new_worker_id, reporting
from streamproc.worker.topic_profiles import TopicProfiles

HANG_TIMEOUTS: Final = 3
"""Call time-outs that a call may be out for before the process ends."""

log = structlog.get_logger(__name__)


async def run_worker(settings: Settings, stop: asyncio.Event, tracer: Tracer | None = None) -> None:
    """Serve the requests of the settings' tasks until `stop`, then drain.

    tracer: None: that of the process, where there is one
    Raises OperatorError when it can't start, WorkerFault when it can't go on.
    """
    refuse_own_headers(settings)
    tracer = tracer or installed_tracer(settings.group_id)
    await _Worker(settings, _Wanted.read(settings), tracer).run(stop)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the settings ask for: request topics, routes, and the tasks of both."""

    catalogue: TopicCatalogue
    topics: Sequence[RequestTopic]
    routes: Sequence[Route]
    tasks: Collection[str]

    @classmethod
    def read(cls, settings: Settings) -> Self:
        """Raises OperatorError where files do not say what is to be served."""
        routes = load_routes(settings)
        catalogue = load_topics(settings.topics_dir, required=not routes)
        repository = Repository(settings.models_dir)
        tasks = settings.tasks or served_tasks(catalogue, repository, required=not routes)
        topics = [topic for task in tasks for topic in catalogue.requests(task)]
        of_routes = (answer.task for route in routes for answer in route.answers)
        return cls(catalogue, topics, routes, dict.fromkeys((*tasks, *of_routes)))

    def record_limits(self, settings: Settings) -> dict[str, int]:
        """The most bytes that a record may have, by the topic that it goes to."""
        return self.catalogue.limits(settings) | record_limits(route_topics(self.routes), settings)


class _Worker:
    """All that one worker is made of, from what it holds open to what it runs."""

    def __init__(self, settings: Settings, wanted: _Wanted, tracer: Tracer) -> None:
        self._settings = settings
        self._wanted = wanted
        self._tracer = tracer
        self._clock, self._metrics = SystemClock(), Metrics()
        self._bound = DeadLetterBound(
            settings.dead_letter_burst, settings.dead_letter_ratio, self._metrics
        )
        self._models = Models(settings, self._clock, self._metrics, tracer)
        self._producer = Producer(settings, self._clock, limits=wanted.record_limits(settings))
        self._outbox: Outbox | None = None
        # What requests publish by; parts of a text and what is beside a request go by the producer.
        self._send: Publish = self._producer.send
        self._hand_over = self._hand_over_part = self._producer.hand_over
        if settings.delivery == "exactly_once":
            outbox = self._outbox = Outbox(self._producer, self._clock)
            self._send, self._hand_over = outbox.send, outbox.hand_over
            self._hand_over_part = outbox.hand_over_part
        self._registry = RegistryFormats(settings, wanted.routes, self._clock)
        self._caches = AnswerCaches(settings, self._models.provider, self._clock, self._metrics)
        self._device_memory = device_memory(self._models.provider)
        self._versions = ModelVersions(
            self._models,
            settings.pinned_versions,
            self._clock,
            self._metrics,
            device_memory=self._device_memory,
        )
        self._canaries = Canaries(
            self._versions.engines,
            settings.canary_interval_s,
            settings.canary_timeout_s,
            self._clock,
            self._metrics,
        )
        self._cancels = FollowedCancels(
            settings, wanted.catalogue.cancels_topic(), self._clock, self._metrics
        )
        self._profiles = TopicProfiles(settings, self._clock, self._metrics)
        self._promoted = PromotedVersions(
            settings, wanted.catalogue.models_topic(), self._versions, self._clock
        )
        self._experiments = RunningExperiments(
            settings,
            wanted.catalogue,
            self._versions,
            self._hand_over,
            self._clock,
            self._metrics,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then drain; raises as `run_worker`."""
        try:
            await self._registry.prepare()
            await self._caches.start()
            chosen = await self._promoted.at_the_start()
            engines = self._versions.load(self._wanted.tasks, chosen)
            for topic in self._wanted.topics:
                require_default(topic, engines[topic.task])
            subscriptions = self._subscriptions(engines)
            refuse_shared_topics(subscriptions)
            await self._serve(subscriptions, stop)
        finally:
            await self._caches.close()
            await self._registry.close()
            await self._models.close()

    async def _serve(self, subscriptions: Sequence[Subscription], stop: asyncio.Event) -> None:
        """Consume what is subscribed to, and tell of it: health, metrics, states."""
        worker = self._kafka_worker(subscriptions)
        troubles = [
            worker.not_ready,
            self._registry.not_ready,
            self._versions.troubles,
            self._canaries.not_ready,
        ]
        readiness = Readiness(troubles, self._clock)
        set_gauges(self._metrics, worker, subscriptions, readiness.reasons, self._clock)
        app = build_app(readiness.reasons, self._metrics.registry, self._degraded)
        # Only a port that somebody chose is one that probes look at.
        or_free = "web_port" not in self._settings.model_fields_set
        host, port = self._settings.web_host, self._settings.web_port
        with bounded_collections():
            async with serving(app, host, port, or_free=or_free) as at:
                self._log_start(subscriptions, at)
                async with (
                    beside(
                        readiness.watch(),
                        self._canaries.watch(),
                        self._registry.prepare_late(),
                        self._profiles.watch(worker.backlog),
                        collect_at_leisure(lambda: worker.in_flight, self._clock),
                    ),
                    self._promoted.followed(),
                    self._experiments.followed(),
                    self._cancels.followed(),
                    self._reporting(worker, readiness),
                ):
                    await worker.run(stop)
                log.info("worker stopped")

    def _subscriptions(self, engines: Mapping[str, Engines]) -> list[Subscription]:
        publish = self._tracer.publishing(self._send)
        return [
            *(self._subscription(one, engines[one.task], publish) for one in self._wanted.topics),
            *route_subscriptions(
                self._wanted.routes,
                engines,
                publish,
                self._clock,
                self._metrics,
                self._registry.formats,
                self._tracer,
                self._caches.of_route,
                self._profiles,
                self._experiments.of_route,
                self._bound,
            ),
        ]

    def _subscription(
        self, topic: RequestTopic, engines: Engines, publish: Publish
    ) -> Subscription:
        """What is done with the requests of one topic, until the worker ends."""
        pipeline = Pipeline(
            build_route(topic, self._settings, self._wanted.catalogue.replies()),
            engines,
            publish,
            clock=self._clock,
            metrics=self._metrics,
            stop_after=stop_never,
            hand_over=self._hand_over_part,
            tracer=self._tracer,
            cache=self._caches.of_topic(topic),
            profile=self._profiles.of_topic(topic, engines),
            split=self._experiments.of_topic(topic),
            cancels=self._cancels.known,
            bound=self._bound,
        )
        return Subscription(
            topic.name,
            topic.lane,
            pipeline,
            refuse=pipeline.refuse,
            publishes_to=frozenset({topic.responses, topic.dlq}),
        )

    def _kafka_worker(self, subscriptions: Sequence[Subscription]) -> KafkaWorker:
        needed = {name for one in subscriptions for name in (one.topic, *one.publishes_to)}
        return KafkaWorker(
            self._settings,
            [replace(one, handler=self._handler(one)) for one in subscriptions],
            clock=self._clock,
            producer=self._producer,
            needed_topics=needed.union(
                self._settings.reply_topics, self._wanted.catalogue.replies()
            ),
            must_end=self._must_end,
            prepare=self._prepare,
            outbox=self._outbox,
            bound=self._bound,
        )

    def _handler(self, subscription: Subscription) -> Handler:
        """What is done with a record, from its consuming span to the record of experiments."""
        return self._tracer.consuming(self._experiments.recording(subscription.handler))

    async def _prepare(self) -> None:
        """Wait until what was promoted is served, requests are split as they were before, and
        those that nobody waits for any more are known."""
        await self._promoted.are_served()
        await self._experiments.are_known()
        await self._cancels.are_known()

    def _degraded(self) -> list[str]:
        """What is amiss without keeping the worker from being ready."""
        return [*self._caches.troubles(), *self._versions.degraded()]

    def _must_end(self) -> str | None:
        hangs = _hangs_for_good(self._versions.engines(), self._settings.call_timeout_s)
        return self._registry.refusal or hangs

    def _log_start(self, subscriptions: Sequence[Subscription], at: str) -> None:
        log.info(
            "worker started",
            device=self._models.provider.device,
            provider=self._models.provider.name,
            threads=self._models.executor.threads,
            ensembles=sorted(
                f"{engine.spec.name}@{engine.spec.version}" for engine in self._versions.engines()
            ),
            topics=[one.topic for one in subscriptions],
            routes=[route.name for route in self._wanted.routes],
            health=f"{at}/v2/health/ready",
        )

    def _reporting(
        self, worker: KafkaWorker, readiness: Readiness
    ) -> AbstractAsyncContextManager[None]:
        """What says on the topic of states how the worker does, unless it is not to."""
        settings, topic = self._settings, self._wanted.catalogue.state_topic()
        if not settings.state_interval_s:
            return nullcontext()
        if topic is None:
            log.warning(
                "state is not published: no topic of kind state is described; copy "
                "streamproc.state.v1.yaml, its schema and its example from those shipped",
                topics_dir=str(settings.topics_dir),
            )
            return nullcontext()
        served = Served(
            self._wanted.topics,
            self._wanted.routes,
            self._versions,
            device=self._models.provider.device,
            threads=self._models.executor.threads,
            budget_tokens=self._models.budget_tokens,
            device_memory=self._device_memory,
            experiments=self._experiments.states,
        )
        name = new_worker_id()
        reporter = StateReporter(
            settings, served, worker, readiness.reasons, self._metrics, self._clock, name
        )
        return reporting(reporter, StatePublisher(settings, topic, name, self._clock))


def _hangs_for_good(engines: Sequence[Engine], call_timeout_s: float) -> str | None:
    """Why the process has to end, as nothing else ends a call that hangs."""
    for engine in engines:
        member, out_s = engine.health.hung() or ("", 0.0)
        if out_s > HANG_TIMEOUTS * call_timeout_s:
            return (
                f"member {member} of ensemble {engine.spec.name} has not returned from a call "
                f"for {out_s:.0f} s (STREAMPROC_CALL_TIMEOUT_S is {call_timeout_s:g}), and only "
                "the end of the process ends such a call; start it again"
            )
    return None
