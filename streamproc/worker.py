"""The composition root: settings in, a running worker or a local pipeline out."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property, partial

import structlog
from tenacity import stop_after_attempt, stop_never

from streamproc.clock import Clock, SystemClock
from streamproc.errors import ModelRefused, SettingsError, closest
from streamproc.kafka.producer import Producer
from streamproc.kafka.topics import RequestTopic, TopicCatalogue, load_topics
from streamproc.kafka.worker import KafkaWorker
from streamproc.kafka.worker import Route as KafkaRoute
from streamproc.messages.lane import Lane
from streamproc.messages.outgoing import is_own_header
from streamproc.messages.publishing import Route
from streamproc.messages.record import ProducerRecord
from streamproc.metrics import Metrics
from streamproc.pipeline import Pipeline
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.serving.assembly import load_engine
from streamproc.serving.batching.batcher import Limits
from streamproc.serving.caching_scorer import CachingScorer
from streamproc.serving.context import EngineContext
from streamproc.serving.decoding.kv_cache_budget import KVCacheLimits
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.providers import CPU, CUDA, Provider, choose_provider
from streamproc.serving.inference.residency import Residency
from streamproc.serving.loading import load_spec
from streamproc.serving.tasks.catalogue import TASKS, task_named
from streamproc.serving.tasks.task import ScoringTask
from streamproc.settings import Settings
from streamproc.web.readiness import Readiness
from streamproc.web.server import build_app, serving

LOCAL_ATTEMPTS = 3
HANG_TIMEOUTS = 3
"""Call time-outs that a call may be out for before the process ends."""
# A core gains nothing from larger batches, and interactive requests wait for them; a GPU is idle
# without them.
_BUDGET_TOKENS = {CPU: 512, CUDA: 16_384}

log = structlog.get_logger(__name__)


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """Serve the requests of the settings' tasks until `stop`, then drain.

    Raises OperatorError when it can't start, WorkerFault when it can't go on.
    """
    _refuse_own_headers(settings)
    clock, metrics = SystemClock(), Metrics()
    catalogue = load_topics(settings.topics_dir)
    tasks = settings.tasks or served_tasks(catalogue, Repository(settings.models_dir))
    topics = [topic for task in tasks for topic in catalogue.requests(task)]
    models = _Models(settings, clock, metrics)
    producer = Producer(settings, clock, limits=catalogue.limits(settings))
    try:
        engines = {task: models.load_task(task) for task in tasks}
        served = [engine for loaded in engines.values() for engine in loaded.values()]
        for engine in served:
            profile = engine.profile
            metrics.ensembles.labels(profile.name, engine.task.name, profile.digest).set(1)
        routes = []
        for topic in topics:
            _require_default(topic, engines[topic.task])
            pipeline = Pipeline(
                build_route(topic, settings),
                Engines(engines[topic.task]),
                producer.send,
                clock=clock,
                metrics=metrics,
                stop_after=stop_never,
            )
            routes.append(
                KafkaRoute(
                    topic.name,
                    topic.lane,
                    pipeline,
                    refuse=pipeline.refuse,
                    publishes_to=frozenset({topic.responses, topic.dlq}),
                )
            )
        needed = {name for topic in topics for name in (topic.name, topic.responses, topic.dlq)}
        worker = KafkaWorker(
            settings,
            routes,
            clock=clock,
            producer=producer,
            needed_topics=needed.union(settings.reply_topics),
            must_end=partial(_hangs_for_good, served, settings.call_timeout_s),
        )
        for lane in Lane:
            gauge = metrics.in_flight_bytes.labels(lane.name.lower())
            gauge.set_function(partial(worker.in_flight_bytes, lane))
        healths = [engine.health.troubles for engine in served]
        readiness = Readiness([worker.not_ready, *healths], clock)
        app = build_app(readiness.reasons, metrics.registry)
        # Only a port that somebody chose is one that probes look at.
        or_free = "web_port" not in settings.model_fields_set
        # Models and libraries stay until the end. A full collection that looks through them holds
        # up the event loop for a tenth of a second.
        gc.collect()
        gc.freeze()
        async with serving(app, settings.web_host, settings.web_port, or_free=or_free) as address:
            log.info(
                "worker started",
                device=models.provider.device,
                provider=models.provider.name,
                threads=models.executor.threads,
                ensembles=sorted(engine.profile.name for engine in served),
                topics=[topic.name for topic in topics],
                health=f"{address}/v2/health/ready",
            )
            telling = asyncio.create_task(readiness.watch())
            try:
                await worker.run(stop)
            finally:
                telling.cancel()
            log.info("worker stopped")
    finally:
        gc.unfreeze()
        await models.close()


def _hangs_for_good(engines: Sequence[Engine], call_timeout_s: float) -> str | None:
    """Why the process has to end, as nothing else ends a call that hangs."""
    for engine in engines:
        member, out_s = engine.health.hung() or ("", 0.0)
        if out_s > HANG_TIMEOUTS * call_timeout_s:
            return (
                f"member {member} of ensemble {engine.profile.name} has not come back from a call "
                f"for {out_s:.0f} s (STREAMPROC_CALL_TIMEOUT_S is {call_timeout_s:g}), and only "
                "the end of the process ends such a call; start it again"
            )
    return None


@asynccontextmanager
async def local_pipeline(
    settings: Settings, task: str, ensemble: str | None, clock: Clock
) -> AsyncIterator[Pipeline]:
    """The pipeline of a task without Kafka, to be used by its `answer`.

    ensemble: answers requests that name none; None: the one that the task's bulk topic names
    Raises OperatorError.
    """
    async with _local(settings, task, ensemble, clock) as (models, build):
        if ensemble is not None:
            # Before all of them are loaded, which takes its time.
            _require_ensemble(ensemble, models.names(task), task, settings)
        yield build(models.load_task(task))


@asynccontextmanager
async def ensemble_pipeline(
    settings: Settings, stored: StoredEnsemble, clock: Clock
) -> AsyncIterator[Pipeline]:
    """The same for one ensemble alone, which may also be made of another's parts.

    Raises OperatorError.
    """
    manifest = stored.manifest
    async with _local(settings, manifest.task, manifest.name, clock) as (models, build):
        yield build({manifest.name: models.load(stored)})


Combined = Callable[[StoredEnsemble], Pipeline]
"""The pipeline of an ensemble of the same models, combined in another way; raises ModelRefused."""


@asynccontextmanager
async def combining_pipelines(
    settings: Settings, stored: StoredEnsemble, clock: Clock
) -> AsyncIterator[Combined]:
    """The same for many ways to combine one ensemble's members, whose models are loaded once.

    What they say of a chunk is remembered, where they score chunks in a single call.
    Raises OperatorError.
    """
    manifest = stored.manifest
    async with _local(settings, manifest.task, manifest.name, clock) as (models, build):
        engine = models.load(stored)
        if isinstance(engine.task, ScoringTask):
            engine = replace(engine, scorer=CachingScorer(engine.scorer))

        def combined(way: StoredEnsemble) -> Pipeline:
            profile = load_spec(way, engine.task)
            return build({manifest.name: replace(engine, profile=profile)})

        yield combined


def verify_ensemble(settings: Settings, name: str) -> Provider:
    """Load an ensemble and try every member out; returns where it ran. Raises ModelRefused."""
    models = _Models(settings, SystemClock(), Metrics())
    try:
        models.load(Repository(settings.models_dir).open(name))
    finally:
        models.executor.close()
        models.executor.join()
    return models.provider


@asynccontextmanager
async def _local(
    settings: Settings, task: str, ensemble: str | None, clock: Clock
) -> AsyncIterator[tuple[_Models, Callable[[dict[str, Engine]], Pipeline]]]:
    """What loads engines, and what builds a task's pipeline of them, by name, without Kafka.

    ensemble: answers requests that name none; None: the one that the task's bulk topic names
    """
    task_named(task)
    topic = load_topics(settings.topics_dir).request_topic(task, Lane.BULK)
    if ensemble is not None:
        topic = topic.model_copy(update={"ensemble": ensemble})
    metrics = Metrics()
    models = _Models(settings, clock, metrics)

    def build(engines: dict[str, Engine]) -> Pipeline:
        _require_ensemble(topic.ensemble, engines, topic.task, settings)
        return Pipeline(
            build_route(topic, settings),
            Engines(engines),
            _refuse_to_publish,
            clock=clock,
            metrics=metrics,
            stop_after=stop_after_attempt(LOCAL_ATTEMPTS),
        )

    try:
        yield models, build
    finally:
        await models.close()


def build_route(topic: RequestTopic, settings: Settings) -> Route:
    """How the requests of a topic are answered, as its description and the settings say."""
    return Route(
        task=topic.task,
        lane=topic.lane,
        ensemble=topic.ensemble,
        responses=topic.responses,
        dead_letters=topic.dlq,
        reply_topics=frozenset(settings.reply_topics),
        max_message_bytes=settings.max_message_bytes,
        copied_headers=frozenset(settings.copy_headers),
    )


def _refuse_own_headers(settings: Settings) -> None:
    if own := [name for name in settings.copy_headers if is_own_header(name)]:
        raise SettingsError(
            f"STREAMPROC_COPY_HEADERS={','.join(settings.copy_headers)}: {', '.join(own)} can't be "
            "copied: in a response it says something else"
        )


class _Models:
    """Loads ensembles onto one device and one set of threads."""

    def __init__(self, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        self._repository = Repository(settings.models_dir)
        self.provider = choose_provider(settings.device)
        self.executor = ModelExecutor(settings.threads or _cores())
        self._surroundings = EngineContext(
            self.executor,
            Limits(
                budget_tokens=settings.batch_budget_tokens or _BUDGET_TOKENS[self.provider.name],
                slots=self.executor.threads,
                max_wait_ms=settings.batch_max_wait_ms,
                max_queued_tokens=settings.max_queued_tokens,
            ),
            call_timeout_s=settings.call_timeout_s,
            max_document_chunks=settings.max_document_chunks,
            clock=clock,
            metrics=metrics,
            kv_cache=KVCacheLimits(settings.max_decoding_rows, settings.max_decoding_tokens),
            residency=Residency(settings.max_resident_bytes),
        )

    def load_task(self, task: str) -> dict[str, Engine]:
        """Every ensemble of a task, by name."""
        task_named(task)
        return {
            ensemble.manifest.name: self.load(ensemble)
            for ensemble in self._stored
            if ensemble.manifest.task == task
        }

    @cached_property
    def _stored(self) -> tuple[StoredEnsemble, ...]:
        """Every ensemble there is, its manifest read once for all tasks."""
        return tuple(self._repository.open(name) for name in self._repository.names())

    def names(self, task: str) -> list[str]:
        """What `load_task` would load, without loading it."""
        task_named(task)
        manifests = (ensemble.manifest for ensemble in self._stored)
        return sorted(manifest.name for manifest in manifests if manifest.task == task)

    async def close(self) -> None:
        """Let the threads go; returns once the calls that run have come back."""
        self.executor.close()
        await asyncio.to_thread(self.executor.join)

    def load(self, stored: StoredEnsemble) -> Engine:
        """One ensemble, tried out; raises ModelRefused."""
        task = task_named(stored.manifest.task)
        return load_engine(stored, task, self.provider, self._surroundings)


def served_tasks(catalogue: TopicCatalogue, repository: Repository) -> tuple[str, ...]:
    """The tasks that have topics, and the ensemble that these name."""
    there = set(repository.names())
    topics = catalogue.requests()
    served = tuple(
        task
        for task in TASKS
        if (named := {topic.ensemble for topic in topics if topic.task == task}) and named <= there
    )
    if not served:
        raise ModelRefused(
            f"{repository.root} has none of the ensembles that topics name: "
            f"{', '.join(sorted({topic.ensemble for topic in topics}))}; set STREAMPROC_MODELS_DIR"
        )
    return served


def _require_ensemble(name: str, there: Collection[str], task: str, settings: Settings) -> None:
    if name not in there:
        meant = closest(name, there)
        hint = f"did you mean {meant!r}? " if meant else ""
        raise ModelRefused(
            f"no ensemble {name!r} for {task} in {settings.models_dir}; {hint}"
            f"There are: {', '.join(sorted(there)) or 'none'} (--ensemble)"
        )


def _require_default(topic: RequestTopic, engines: dict[str, Engine]) -> None:
    if topic.ensemble not in engines:
        raise ModelRefused(
            f"{topic.name} is answered by the ensemble {topic.ensemble!r} unless a request names "
            f"another, and there is none for {topic.task}; there are: "
            f"{', '.join(sorted(engines)) or 'none'}"
        )


def _cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


async def _refuse_to_publish(record: ProducerRecord) -> None:
    raise AssertionError(f"a local pipeline has nowhere to publish to, not even {record.topic}")
