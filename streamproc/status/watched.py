"""What ought to be served: the lanes of every task, and the routes, with their topics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streamproc.enrichment.catalogue import load_routes
from streamproc.kafka.topics import load_topics
from streamproc.settings import Settings


@dataclass(frozen=True, slots=True)
class Watched:
    """One source of work: a lane of a task, or a route.

    lane: interactive or bulk; of a route that which it has
    route: its name; None: it is a lane of a task
    topics: that it reads; from_end: a group new to them begins at their end
    """

    task: str
    lane: str
    route: str | None
    topics: tuple[str, ...]
    from_end: bool = False


def watched(settings: Settings) -> list[Watched]:
    """By task, interactive first, and then the routes; raises TopicsError."""
    lanes: dict[tuple[str, str], list[str]] = {}
    for topic in load_topics(settings.topics_dir).requests():
        lanes.setdefault((topic.task, topic.lane.name.lower()), []).append(topic.name)
    by_task = sorted(lanes.items(), key=lambda one: (one[0][0], one[0][1] == "bulk"))
    found = [Watched(task, lane, None, tuple(names)) for (task, lane), names in by_task]
    return found + [
        Watched(
            "",
            route.from_.priority.name.lower(),
            route.name,
            tuple(route.from_.topics),
            from_end=route.from_.start == "latest",
        )
        for route in load_routes(settings)
    ]


def topics_of(sources: list[Watched]) -> Mapping[str, bool]:
    """Every topic of some sources, and whether it is begun at its end."""
    return {name: one.from_end for one in sources for name in one.topics}
