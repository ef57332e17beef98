"""The topics of each task, as topics/ ships them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TaskTopics:
    """Where a task's requests lie in either lane, and what becomes of them."""

    requests: str
    bulk: str
    responses: str
    dead_letters: str

    @property
    def lanes(self) -> tuple[str, str]:
        """The topics that hold requests."""
        return self.requests, self.bulk

    @property
    def outcomes(self) -> tuple[str, str]:
        """The topics that hold what came of them."""
        return self.responses, self.dead_letters


def topics_of(task: str) -> TaskTopics:
    """A task's topics."""
    return TaskTopics(
        *(f"nlp.{task}.{kind}.v1" for kind in ("requests", "bulk", "responses", "dlq"))
    )


def task_of(topic: str) -> str:
    """The task that a topic is of."""
    return topic.split(".")[1]


def request_topics(tasks: Iterable[str]) -> list[str]:
    """Both lanes of each task."""
    return [topic for task in tasks for topic in topics_of(task).lanes]
