"""Requests of every task, mixed, some of them of several chunks and some foreign."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.chaos.asked import sources_of
from tests.support.good_requests import mixed_request
from tests.support.served import Served
from tests.support.task_topics import task_of, topics_of
from tests.support.topics import Sent


class Tasks:
    """Requests of the tasks that are served, in both lanes."""

    a_second = 4.0

    def __init__(self, of: Served) -> None:
        self._of = of
        self.sources = sources_of(of.tasks)
        self.expendable = topics_of(of.tasks[0]).bulk

    def prepare(self, folder: Path) -> dict[str, str]:
        return {"TASKS": ",".join(self._of.tasks), **self._of.settings}

    def record(self, name: str, number: int, topic: str | None) -> Sent:
        if topic is None:
            return mixed_request(self._of.tasks, number, name).record
        return replace(mixed_request([task_of(topic)], number, name).record, topic=topic)
