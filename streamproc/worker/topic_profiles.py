"""Which members the requests of each topic ask, and what watches over the topics' lag for it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

import structlog

from streamproc.clock import Clock
from streamproc.enrichment.route import Route
from streamproc.kafka.backlog import Backlog
from streamproc.kafka.topics import RequestTopic
from streamproc.metrics import Metrics
from streamproc.profile import Profile
from streamproc.serving.brown_out import BrownOut
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.profiles import TopicProfile, require_profile
from streamproc.serving.tasks.task import ScoringTask
from streamproc.settings import Settings

LOOK_EVERY_S: Final = 0.5

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Watched:
    """The topics of one brown-out, and the engines that their requests ask."""

    topics: Collection[str]
    brown_out: BrownOut
    engines: Callable[[], Collection[Engine]]

    def most(self) -> int:
        """How many members may be left out of what has the most of them."""
        return max(
            (len(one.spec.members) - 1 for one in self.engines() if _has_members(one)), default=0
        )


class TopicProfiles:
    """The profiles of topics and routes, as their files say, or the settings where these do not."""

    def __init__(self, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._watched: list[_Watched] = []

    def of_topic(self, topic: RequestTopic, engines: Engines) -> TopicProfile:
        """Raises ModelRefused where its ensemble can't be served by the profile that it names."""
        if topic.profile is not None:
            default = engines[topic.ensemble]
            require_profile(topic.profile, default.task, default.spec, f"topic {topic.name}")
        return self._profile(
            topic.profile,
            topic.brown_out_lag_s,
            [topic.name],
            engines.values,
        )

    def of_route(self, route: Route, engines: Callable[[], Collection[Engine]]) -> TopicProfile:
        """The same; engines: those that answer for the route now."""
        if route.profile is not None:
            for engine in engines():
                if _has_members(engine):
                    where = f"route {route.name}"
                    require_profile(route.profile, engine.task, engine.spec, where)
        return self._profile(route.profile, route.brown_out_lag_s, route.from_.topics, engines)

    async def watch(self, backlog: Callable[[Collection[str]], Backlog]) -> None:
        """Leave members out while topics lag, until cancelled.

        backlog: what waits on topics
        """
        while self._watched:
            for one in self._watched:
                self._look(one, backlog)
            await self._clock.sleep(LOOK_EVERY_S)

    def _look(self, watched: _Watched, backlog: Callable[[Collection[str]], Backlog]) -> None:
        lag_ms = backlog(watched.topics).oldest_ms(self._clock.now_ms()) or 0
        out, before = watched.brown_out, watched.brown_out.left_out
        if not out.observe(lag_ms / 1000, watched.most(), self._clock.monotonic_s()):
            return
        if not before or not out.left_out:
            log.warning(
                "brown-out begins" if out.left_out else "brown-out ends",
                topics=sorted(watched.topics),
                lag_s=round(lag_ms / 1000, 1),
                objective_s=out.objective_s,
            )
        for topic in watched.topics:
            self._metrics.members_left_out.labels(topic).set(out.left_out)

    def _profile(
        self,
        profile: Profile | None,
        lag_s: float | None,
        topics: Collection[str],
        engines: Callable[[], Collection[Engine]],
    ) -> TopicProfile:
        objective_s = self._settings.brown_out_lag_s if lag_s is None else lag_s
        name = profile or self._settings.profile
        if not objective_s:
            return TopicProfile(name)
        brown_out = BrownOut(objective_s)
        self._watched.append(_Watched(topics, brown_out, engines))
        for topic in topics:
            self._metrics.members_left_out.labels(topic).set(0)
        return TopicProfile(name, brown_out)


def _has_members(engine: Engine) -> bool:
    """Whether its task can do with fewer of them."""
    return isinstance(engine.task, ScoringTask)
