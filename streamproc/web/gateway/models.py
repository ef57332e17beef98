"""The ensembles that can be asked by name: what the folder of models says, without their models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from streamproc.clock import Clock
from streamproc.did_you_mean import there_are
from streamproc.errors import ModelRefused
from streamproc.kafka.topics import RequestTopic, TopicCatalogue
from streamproc.repository.manifest import Manifest
from streamproc.repository.repository import Repository
from streamproc.web.gateway.problems import GatewayProblem

LOOK_AGAIN_S: Final = 10.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NamedModel:
    """An ensemble, and where it is asked; digest: of its manifest."""

    name: str
    manifest: Manifest
    digest: str
    topic: RequestTopic

    @property
    def task(self) -> str:
        """What it does."""
        return self.topic.task


class NamedModels:
    """The ensembles whose manifests lie in the folder of models; looked at again from time to time.

    Whether a worker serves one is not known here: one that none serves is an invalid request.
    """

    def __init__(self, folder: Path, topics: TopicCatalogue, clock: Clock) -> None:
        self._repository = Repository(folder)
        self._topics = topics.interactive()
        self._clock = clock
        self._found: Mapping[str, NamedModel] = {}
        self._looked_at_s: float | None = None

    def all(self) -> list[NamedModel]:
        """All of them, by name."""
        now_s = self._clock.monotonic_s()
        if self._looked_at_s is None or now_s - self._looked_at_s > LOOK_AGAIN_S:
            self._found, self._looked_at_s = self._look(), now_s
        return list(self._found.values())

    def find(self, name: str, *tasks: str) -> NamedModel:
        """The one of that name, for one of the tasks where these are named.

        Raises GatewayProblem where there is none.
        """
        there = {model.name: model for model in self.all() if not tasks or model.task in tasks}
        if name not in there:
            of = f" for {' or '.join(tasks)}" if tasks else ""
            raise GatewayProblem(
                "unknown-model",
                f"no ensemble {name[:100]!r}{of}; {there_are(name, sorted(there))}",
            )
        return there[name]

    def _look(self) -> dict[str, NamedModel]:
        found = {}
        for name in self._repository.names():
            try:
                stored = self._repository.open(name)
            except ModelRefused as error:
                log.warning("ensemble passed over", ensemble=name, reason=str(error))
                continue
            topic = self._topics.get(stored.manifest.task)
            if topic is not None:
                found[name] = NamedModel(name, stored.manifest, stored.digest, topic)
        return found
