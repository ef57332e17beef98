"""The experiments that a worker takes part in: followed, split, recorded, told of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, NoReturn

from streamproc.clock import Clock
from streamproc.enrichment.route import Route
from streamproc.kafka.background import beside
from streamproc.kafka.experiments import experiment_feed
from streamproc.kafka.group_table import GroupFeed
from streamproc.kafka.requests_in_flight import Handler
from streamproc.kafka.topics import RequestTopic, TopicCatalogue
from streamproc.messages.experiment import Experiment
from streamproc.messages.parts import HandOver
from streamproc.messages.worker_state import ExperimentState
from streamproc.metrics import Metrics
from streamproc.serving.traffic_split import TrafficSplit
from streamproc.settings import Settings
from streamproc.worker.experiments.arm_engines import ArmEngines
from streamproc.worker.experiments.exposure_log import ExposureLog
from streamproc.worker.experiments.place_split import Place, PlaceSplit
from streamproc.worker.experiments.shadows import Shadows
from streamproc.worker.model_versions import ModelVersions

LOOK_AGAIN_S: Final = 30.0
"""Until arms are looked at again: another version may serve by now, or files may have come."""


class RunningExperiments:
    """Splits requests between the arms of experiments; without topics of them there are none."""

    def __init__(
        self,
        settings: Settings,
        catalogue: TopicCatalogue,
        versions: ModelVersions,
        hand_over: HandOver,
        clock: Clock,
        metrics: Metrics,
        *,
        look_again_s: float = LOOK_AGAIN_S,
    ) -> None:
        """hand_over: what exposures go by"""
        self._clock = clock
        self._metrics = metrics
        self._look_again_s = look_again_s
        self._tasks = versions.by_task
        self._engines = ArmEngines(versions)
        self._shadows = Shadows(clock, metrics)
        self._running: list[Experiment] = []
        self._splitting: list[Experiment] = []
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        self._exposures: ExposureLog | None = None
        self._feed: GroupFeed[Experiment] | None = None
        topics = [catalogue.of_kind(kind) for kind in ("experiments", "exposures")]
        if all(topics):
            experiments, exposures = (found[0].name for found in topics)
            self._exposures = ExposureLog(exposures, hand_over, clock, metrics)
            self._feed = experiment_feed(settings, experiments, clock, self.tell)

    def of_topic(self, topic: RequestTopic) -> TrafficSplit | None:
        """What splits the requests of a topic; None: there are no topics of experiments."""
        return self._split(Place(topic.name, topic.task, topic.lane, is_named_by_sender=True))

    def of_route(self, route: Route, task: str) -> TrafficSplit | None:
        """What splits those that a route makes for a task."""
        return self._split(Place(route.name, task, route.from_.priority, is_named_by_sender=False))

    def recording(self, handler: Handler) -> Handler:
        """A handler behind which what arms made of its record is stored."""
        return handler if self._exposures is None else self._exposures.recording(handler)

    def tell(self, experiments: Mapping[str, Experiment]) -> None:
        """All that is said of experiments now, by name; `keep` has their arms loaded."""
        running = [one for one in experiments.values() if one.is_running]
        running = [one for one in running if one.task in self._tasks]
        self._running = sorted(running, key=lambda one: (one.started_ms, one.name))
        self._split_those_in({_run(one) for one in self._splitting})
        self._settled.clear()
        self._news.set()

    async def keep(self) -> NoReturn:
        """Have the arms of what runs loaded, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_again_s if self._running else None):
                    await self._news.wait()
            self._news.clear()
            running = list(self._running)
            await self._engines.follow(running)
            self._split_those_in({_run(one) for one in running})
            if not self._news.is_set():
                self._settled.set()

    async def are_known(self) -> None:
        """Wait until the experiments that ran before the start are known, and their arms loaded."""
        if self._feed is not None:
            await self._feed.caught_up.wait()
            if self._feed.has_told:
                await self._settled.wait()

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Take part, within the block, in what is begun."""
        feed = self._feed
        try:
            async with beside(*(() if feed is None else (self.keep(), feed.follow()))):
                yield
        finally:
            await self._shadows.close()
            if self._exposures is not None:
                await self._exposures.close()

    def states(self) -> Sequence[ExperimentState]:
        """What is said of them in the worker's state."""
        return [
            ExperimentState(
                name=one.name,
                followed_at_ms=one.at_ms,
                refused=self._engines.refusals(one),
            )
            for one in self._splitting
        ]

    def _split_those_in(self, known: Collection[tuple[str, int]]) -> None:
        """Split requests for experiments whose arms were loaded, and that have not ended since."""
        self._splitting = [one for one in self._running if _run(one) in known]

    def _split(self, place: Place) -> PlaceSplit | None:
        if self._exposures is None:
            return None
        return PlaceSplit(
            place,
            lambda: self._splitting,
            self._engines,
            self._exposures,
            self._shadows,
            self._clock,
            self._metrics,
        )


def _run(experiment: Experiment) -> tuple[str, int]:
    """What tells an experiment from a later one of its name."""
    return experiment.name, experiment.started_ms
