"""Pipelines without Kafka: for a file of rows, for evaluation, for trying an ensemble out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, Protocol

from tenacity import stop_after_attempt

from streamproc.clock import Clock, SystemClock
from streamproc.kafka.topics import load_topics
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord
from streamproc.metrics import Metrics
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.repository.signatures import TrustedKeys
from streamproc.repository.versioned_name import VersionedName, plain_name
from streamproc.request_pipeline import Pipeline
from streamproc.serving.answer_cache import AnswerCache
from streamproc.serving.caching_scorer import CachingScorer
from streamproc.serving.chunking.windows import Window
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.inference.providers import Provider
from streamproc.serving.loading import load_spec
from streamproc.serving.profiles import FULL, TopicProfile, require_profile
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.task import ScoringTask
from streamproc.settings import Settings
from streamproc.worker.caching import AnswerCaches
from streamproc.worker.models import Models
from streamproc.worker.routes import build_route, require_ensemble

LOCAL_ATTEMPTS: Final = 3


@asynccontextmanager
async def local_pipeline(
    settings: Settings, task: str, ensemble: str | None, clock: Clock
) -> AsyncIterator[Pipeline]:
    """The pipeline of a task without Kafka, to be used by its `answer`.

    Answers are kept where the settings say so, as a worker does; those of the pipelines below,
    which are for measuring, never are.
    ensemble: answers requests that name none, as NAME or NAME@VERSION; None: the one that the
        task's bulk topic names
    Raises OperatorError.
    """
    async with _local(settings, task, ensemble, clock) as (models, build):
        if ensemble is not None:
            # Before all of them are loaded, which takes its time.
            require_ensemble(plain_name(ensemble), models.names(task), task, settings)
        caches = AnswerCaches(settings, models.provider, clock, models.metrics)
        try:
            await caches.start()
            engines, profile = models.load_task(task), TopicProfile(settings.profile)
            yield build(engines, caches.of_task(task), profile)
        finally:
            await caches.close()


@asynccontextmanager
async def ensemble_pipeline(
    settings: Settings, stored: StoredEnsemble, clock: Clock
) -> AsyncIterator[Pipeline]:
    """The same for one ensemble alone, which may also be made of another's parts.

    Raises OperatorError.
    """
    async with windowed_pipelines(settings, stored, clock) as windowed:
        yield windowed(None)


Windowed = Callable[[Window | None], Pipeline]
"""The pipeline of an ensemble that cuts texts into such windows; None: as its manifest says."""


@asynccontextmanager
async def windowed_pipelines(
    settings: Settings, stored: StoredEnsemble, clock: Clock
) -> AsyncIterator[Windowed]:
    """The same for windows of other sizes, whose models are loaded once.

    Raises OperatorError.
    """
    manifest = stored.manifest
    async with _local(settings, manifest.task, manifest.name, clock) as (models, build):
        engine = models.load(stored)

        def windowed(window: Window | None) -> Pipeline:
            spec = engine.spec if window is None else replace(engine.spec, window=window)
            return build({manifest.name: replace(engine, spec=spec)})

        yield windowed


class Combined(Protocol):
    """The pipeline of an ensemble of the same models, combined in another way."""

    def __call__(self, way: StoredEnsemble, profile: TopicProfile = FULL, /) -> Pipeline:
        """profile: which members are asked; raises ModelRefused."""
        ...


@asynccontextmanager
async def combining_pipelines(
    settings: Settings, stored: StoredEnsemble, clock: Clock, *, remembers: bool = True
) -> AsyncIterator[Combined]:
    """The same for many ways to combine one ensemble's members, whose models are loaded once.

    remembers: what they say of a chunk, where they score chunks in a single call
    Raises OperatorError.
    """
    manifest = stored.manifest
    async with _local(settings, manifest.task, manifest.name, clock) as (models, build):
        engine = models.load(stored)
        if remembers and isinstance(engine.task, ScoringTask):
            engine = replace(engine, scorer=CachingScorer(engine.scorer))

        def combined(way: StoredEnsemble, profile: TopicProfile = FULL, /) -> Pipeline:
            spec = load_spec(way, engine.task)
            return build({manifest.name: replace(engine, spec=spec)}, None, profile)

        yield combined


def verify_ensemble(settings: Settings, name: str, trusted: TrustedKeys | None = None) -> Provider:
    """Load an ensemble and try every member out; returns where it ran. Raises ModelRefused.

    trusted: who has to have signed it, whatever the settings say: what is about to be changed, or
        installed, nobody can have signed yet; None: nobody
    """
    models = Models(settings, SystemClock(), Metrics())
    try:
        models.load(Repository(settings.models_dir, trusted).open(name))
    finally:
        models.executor.close()
        models.executor.join()
    return models.provider


class _Build(Protocol):
    """Builds a task's pipeline of its engines, by name."""

    def __call__(
        self,
        engines: dict[str, Engine],
        cache: AnswerCache | None = None,
        profile: TopicProfile = FULL,
        /,
    ) -> Pipeline: ...


@asynccontextmanager
async def _local(
    settings: Settings, task: str, ensemble: str | None, clock: Clock
) -> AsyncIterator[tuple[Models, _Build]]:
    """What loads engines, and what builds a task's pipeline of them, by name, without Kafka.

    ensemble: answers requests that name none; None: the one that the task's bulk topic names
    """
    task_named(task)
    topic = load_topics(settings.topics_dir).request_topic(task, Lane.BULK)
    versions = {}
    if ensemble is not None:
        name, version = VersionedName.read(ensemble) or (ensemble, None)
        topic = topic.model_copy(update={"ensemble": name})
        versions = {name: version} if version is not None else {}
    metrics = Metrics()
    models = Models(settings, clock, metrics, versions=versions)

    def build(
        engines: dict[str, Engine],
        cache: AnswerCache | None = None,
        profile: TopicProfile = FULL,
    ) -> Pipeline:
        require_ensemble(topic.ensemble, engines, topic.task, settings)
        default = engines[topic.ensemble]
        require_profile(profile.name, default.task, default.spec, "--profile")
        return Pipeline(
            build_route(topic, settings),
            Engines(engines),
            refuse_to_publish,
            clock=clock,
            metrics=metrics,
            stop_after=stop_after_attempt(LOCAL_ATTEMPTS),
            cache=cache,
            profile=profile,
        )

    try:
        yield models, build
    finally:
        await models.close()


async def refuse_to_publish(record: ProducerRecord) -> None:
    """Where a worker would publish; nothing here does."""
    raise AssertionError(f"what runs locally has nowhere to publish to, not even {record.topic}")
