"""The routes that a worker serves, read, and held against each other and their tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from streamproc.did_you_mean import there_are
from streamproc.enrichment.answer_spec import WHOLE_FIELDS, AnswerSpec
from streamproc.enrichment.registry.placement import check_schemas
from streamproc.enrichment.route import Route, load_route
from streamproc.errors import Invalid, SettingsError, TopicsError
from streamproc.kafka.sizes import topic_max_bytes
from streamproc.kafka.topics import is_route
from streamproc.messages.lane import Lane
from streamproc.messages.response_types import fields_of
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.task import validated
from streamproc.settings import Settings


@dataclass(frozen=True, slots=True)
class RouteTopic:
    """A topic that a route publishes to, as Kafka should have it."""

    name: str
    topic_partitions: int
    retention_ms: int

    def wanted_config(self, max_message_bytes: int) -> dict[str, str]:
        """The settings that Kafka should have for it, in Kafka's names."""
        return {
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(topic_max_bytes("responses", max_message_bytes)),
        }


UseOfTopic = Literal["events", "enriched", "dlq"]


@dataclass(frozen=True, slots=True)
class UsedTopic:
    """A topic that routes use.

    kind: `events` that they read, events that are `enriched`, or their dead letters (`dlq`)
    topic_partitions: None of one that they read, which is somebody else's
    """

    name: str
    kind: UseOfTopic
    routes: tuple[str, ...]
    topic_partitions: int | None

    @property
    def description(self) -> str:
        """Which routes use it, and what for."""
        what = {"events": "Read", "enriched": "Written", "dlq": "Dead letters"}[self.kind]
        return f"{what} {'of' if self.kind == 'dlq' else 'by'} {', '.join(self.routes)}."


def route_files(settings: Settings) -> list[Path]:
    """The descriptions of routes beside those of topics, and those in `routes_dir`.

    Raises TopicsError where there is no folder of topics, or `routes_dir` has no routes.
    """
    if not settings.topics_dir.is_dir():
        raise TopicsError(f"no folder {settings.topics_dir} (STREAMPROC_TOPICS_DIR)")
    files = [file for file in _yaml_files(settings.topics_dir) if is_route(file)]
    if settings.routes_dir is not None:
        found = _yaml_files(settings.routes_dir)
        if not found:
            raise TopicsError(
                f"no routes in {settings.routes_dir} (STREAMPROC_ROUTES_DIR), which is to be a "
                "folder of *.yaml"
            )
        files += found
    return files


def _yaml_files(folder: Path) -> list[Path]:
    # A route in *.yml would otherwise be left out without a word.
    return sorted(file for file in folder.glob("*.y*ml") if file.suffix in (".yaml", ".yml"))


def load_routes(settings: Settings) -> list[Route]:
    """All routes, in the order of their names; raises TopicsError as `routes_by_file` does."""
    return list(routes_by_file(settings).values())


def routes_by_file(settings: Settings) -> dict[Path, Route]:
    """All routes, in the order of their names.

    Raises TopicsError naming the file and what is wrong.
    """
    found: dict[str, tuple[Path, Route]] = {}
    for file in route_files(settings):
        route = load_route(file)
        if route.name in found:
            other = found[route.name][0]
            raise TopicsError(f"{file}: name: {other} has a route {route.name}, too")
        check_tasks(route, file)
        found[route.name] = file, route
    in_order = dict(found[name] for name in sorted(found))
    routes = list(in_order.values())
    refuse_loops(routes)
    _refuse_two_lanes(routes)
    return in_order


def route_topics(routes: Iterable[Route]) -> list[RouteTopic]:
    """The topics that routes publish to, each once."""
    topics = {
        name: RouteTopic(name, route.topic_partitions, retention_ms)
        for route in routes
        for name, retention_ms in (
            (route.to.topic, route.retention_ms),
            (route.dlq, max(route.retention_ms, 28 * 24 * 3600 * 1000)),
        )
    }
    return [topics[name] for name in sorted(topics)]


def topics_of_routes(routes: Sequence[Route]) -> list[UsedTopic]:
    """The topics that routes use, each once: what one route writes and another reads is written."""
    made = {topic.name: topic.topic_partitions for topic in route_topics(routes)}
    uses: list[tuple[str, UseOfTopic, str]] = [
        *((route.to.topic, "enriched", route.name) for route in routes),
        *((route.dlq, "dlq", route.name) for route in routes),
        *((topic, "events", route.name) for route in routes for topic in route.from_.topics),
    ]
    kinds: dict[str, UseOfTopic] = {}
    for topic, kind, _ in uses:
        kinds.setdefault(topic, kind)
    return [
        UsedTopic(
            topic,
            kind,
            tuple(name for at, use, name in uses if (at, use) == (topic, kind)),
            made.get(topic),
        )
        for topic, kind in sorted(kinds.items())
    ]


def check_tasks(route: Route, file: Path) -> None:
    """Raises TopicsError where an answer asks what its task does not take, or does not give."""
    for spec in route.answers:
        try:
            _check_task(spec)
        except (Invalid, SettingsError) as error:
            raise TopicsError(f"{file}: answers: {spec.name}: {error}") from None
    if route.from_.has_registry:
        try:
            check_schemas(route)
        except Invalid as error:
            raise TopicsError(f"{file}: {error}") from None


def _check_task(spec: AnswerSpec) -> None:
    task = task_named(spec.task)
    validated(task.params, spec.params, "params")
    takes_context = "context" in task.inputs.model_fields
    if takes_context != (spec.context is not None):
        wanted = "question and context" if takes_context else "text"
        raise Invalid("wrong fields", f"{spec.task} takes {wanted}")
    known = (*fields_of(spec.task, "result"), *WHOLE_FIELDS)
    for name in spec.keep or ():
        if name not in known:
            raise Invalid("keep", f"no field {name!r}; {there_are(name, known)}")


def refuse_loops(routes: Sequence[Route]) -> None:
    """Raises TopicsError where an event could come back to a route that it went through."""
    leads_to: dict[str, set[str]] = {}
    for route in routes:
        for topic in route.from_.topics:
            leads_to.setdefault(topic, set()).update((route.to.topic, route.dlq))
    for start in sorted(leads_to):
        reached, ahead = set[str](), {start}
        while ahead:
            ahead = {after for topic in ahead for after in leads_to.get(topic, ())} - reached
            reached |= ahead
        if start in reached:
            through = ", ".join(
                route.name
                for route in routes
                if reached & {route.to.topic, route.dlq} and reached & set(route.from_.topics)
            )
            raise TopicsError(
                f"{start} feeds itself through the routes {through}: its events would go round "
                "for ever; publish to a topic that none of them reads"
            )


def _refuse_two_lanes(routes: Sequence[Route]) -> None:
    lanes: dict[str, Lane] = {}
    for route in routes:
        for topic in route.from_.topics:
            if lanes.setdefault(topic, route.from_.priority) is not route.from_.priority:
                raise TopicsError(
                    f"routes/{route.name}: {topic} is read by another route on another lane; "
                    "a topic has one"
                )
