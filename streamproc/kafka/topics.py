"""Topics as code: the YAML descriptions, loaded and checked against each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from streamproc.errors import TopicsError
from streamproc.kafka.sizes import TopicKind, topic_max_bytes
from streamproc.kafka.topic_drift import DescribedTopic
from streamproc.kafka.yaml_file import read_yaml
from streamproc.messages.lane import Lane
from streamproc.messages.validation import in_json_words
from streamproc.profile import Profile
from streamproc.settings import MAX_LAG_S, Settings

TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


class Topic(BaseModel):
    """One topic, as its YAML describes it.

    task:             whose requests or outcomes it takes; None: those of all
    topic_partitions: Kafka's, not the corpus's
    config:           further settings of the topic, in Kafka's names
    schema_file, examples: paths below the folder of the descriptions
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: TopicName
    description: str = Field(min_length=10)
    kind: TopicKind
    task: str | None = None
    topic_partitions: int = Field(12, ge=1, le=10_000)
    retention_ms: int = Field(ge=-1)
    config: dict[str, str] = Field(default_factory=dict)
    schema_file: str = Field(min_length=1)
    examples: list[str] = Field(min_length=1)

    def wanted_config(self, max_message_bytes: int) -> dict[str, str]:
        """The settings that Kafka should have for it, in Kafka's names."""
        return {
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(topic_max_bytes(self.kind, max_message_bytes)),
            **self.config,
        }


class RequestTopic(Topic):
    """A topic that requests come by.

    ensemble:       answers requests that name none
    responses, dlq: the topics that answers and dead letters go to
    profile:         which members are asked; None: as the settings say
    brown_out_lag_s: seconds that requests may wait before fewer are; 0: however long; None: as the
        settings say
    cache:           whether answers are kept for requests that ask the same; None: as the settings
        say
    """

    kind: Literal["requests", "bulk"]
    task: str = Field(min_length=1)
    ensemble: str = Field(min_length=1)
    responses: TopicName
    dlq: TopicName
    profile: Profile | None = None
    brown_out_lag_s: float | None = Field(None, ge=0, le=MAX_LAG_S, strict=False)
    cache: bool | None = None

    @property
    def lane(self) -> Lane:
        """The lane of its requests."""
        return Lane.BULK if self.kind == "bulk" else Lane.INTERACTIVE


class OutcomeTopic(Topic):
    """A topic that what became of requests goes to."""

    kind: Literal["responses", "dlq"]
    task: str = Field(min_length=1)


class RepliesTopic(Topic):
    """A topic that requests of any task may name for their responses; gateways read it."""

    kind: Literal["replies"]
    task: None = None


class StateTopic(Topic):
    """The topic that workers say on how they do."""

    kind: Literal["state"]
    task: None = None


class ModelsTopic(Topic):
    """The topic that says which version of an ensemble the workers of a group are to serve."""

    kind: Literal["models"]
    task: None = None


class FeedbackTopic(Topic):
    """The topic that says what turned out to be true of a task's answers, by the request's id."""

    kind: Literal["feedback"]
    task: str = Field(min_length=1)


class ExperimentsTopic(Topic):
    """The topic that says which versions share the requests of a task."""

    kind: Literal["experiments"]
    task: None = None


class ExposuresTopic(Topic):
    """The topic that workers say on what the arms of experiments made of requests."""

    kind: Literal["exposures"]
    task: None = None


class CancelsTopic(Topic):
    """The topic that says which requests nobody waits for any more."""

    kind: Literal["cancels"]
    task: None = None


_Described = (
    RequestTopic
    | OutcomeTopic
    | RepliesTopic
    | StateTopic
    | ModelsTopic
    | FeedbackTopic
    | ExperimentsTopic
    | ExposuresTopic
    | CancelsTopic
)
_DESCRIPTION: TypeAdapter[_Described] = TypeAdapter(
    Annotated[_Described, Field(discriminator="kind")]
)


@dataclass(frozen=True, slots=True)
class TopicCatalogue:
    """All described topics, by name; `folder` is where schemas and examples are found."""

    folder: Path
    topics: Mapping[str, Topic]

    def requests(self, task: str | None = None) -> list[RequestTopic]:
        """The topics that take a task's requests, or any, interactive first.

        Raises TopicsError when none does.
        """
        found = [
            topic
            for topic in self.topics.values()
            if isinstance(topic, RequestTopic) and task in (None, topic.task)
        ]
        if not found:
            tasks = ", ".join(self.tasks()) or "none"
            raise TopicsError(
                f"no topic in {self.folder} takes requests for {task!r}; described: {tasks}"
            )
        return sorted(found, key=lambda topic: topic.lane)

    def interactive(self) -> dict[str, RequestTopic]:
        """The topic of each task's interactive requests, of tasks that have one.

        Raises TopicsError where no topic takes any requests.
        """
        return {topic.task: topic for topic in self.requests() if topic.lane is Lane.INTERACTIVE}

    def request_topic(self, task: str, lane: Lane) -> RequestTopic:
        """The topic of a task's requests on a lane; raises TopicsError when there is none."""
        for topic in self.requests(task):
            if topic.lane is lane:
                return topic
        raise TopicsError(f"no topic in {self.folder} takes {lane.name.lower()} {task!r} requests")

    def of_kind(self, kind: TopicKind, task: str | None = None) -> list[Topic]:
        """The topics of one kind, of one task or of all."""
        return [
            topic
            for topic in self.topics.values()
            if topic.kind == kind and task in (None, topic.task)
        ]

    def replies(self) -> list[str]:
        """The names of the topics that a request of any task may name for its response."""
        return sorted(topic.name for topic in self.of_kind("replies"))

    def tasks(self) -> list[str]:
        """The tasks that have topics, in the order of their names."""
        return sorted({topic.task for topic in self.topics.values() if topic.task})

    def state_topic(self) -> str | None:
        """The topic that workers say on how they do; None: none is described."""
        return next((topic.name for topic in self.of_kind("state")), None)

    def models_topic(self) -> str | None:
        """The topic that says which versions are to be served; None: none is described."""
        return next((topic.name for topic in self.of_kind("models")), None)

    def cancels_topic(self) -> str | None:
        """The topic that takes requests back; None: none is described."""
        return next((topic.name for topic in self.of_kind("cancels")), None)

    def only(self, kind: TopicKind, task: str | None = None) -> str:
        """The topic of a kind, of a task where those of the kind have one.

        Raises TopicsError where none is described.
        """
        found = self.of_kind(kind, task)
        if not found:
            of_task = f" of {task}" if task else ""
            raise TopicsError(
                f"no topic of kind {kind}{of_task} is described in {self.folder}: copy it, its "
                "schema and its example from those shipped"
            )
        return found[0].name

    def limits(self, settings: Settings) -> dict[str, int]:
        """The most bytes a record may have, by topic."""
        return record_limits(self.topics.values(), settings)


def record_limits(topics: Iterable[DescribedTopic], settings: Settings) -> dict[str, int]:
    """The most bytes a record may have, by topic."""
    return {
        topic.name: int(topic.wanted_config(settings.max_message_bytes)["max.message.bytes"])
        for topic in topics
    }


def is_route(file: Path) -> bool:
    """Whether a description is of a route, which is read elsewhere."""
    try:
        content = file.read_bytes()
    except OSError:  # told by who reads it as what it is not told apart from
        return False
    return re.search(rb"(?m)^kind:\s*[\"']?route\b", content) is not None


def load_topics(folder: Path, *, required: bool = True) -> TopicCatalogue:
    """Every `*.yaml` of a folder. Raises TopicsError naming the file and the field.

    required: whether there have to be any, as where there are no routes to serve instead
    """
    files = [file for file in sorted(folder.glob("*.yaml")) if not is_route(file)]
    if not files and required:
        raise TopicsError(f"no topics are described in {folder} (STREAMPROC_TOPICS_DIR)")
    topics: dict[str, Topic] = {}
    for file in files:
        topic = _load(file)
        if topic.name in topics:
            raise TopicsError(f"{file}: name: {topic.name} is described twice")
        topics[topic.name] = topic
    catalogue = TopicCatalogue(folder, topics)
    _check_references(catalogue)
    return catalogue


def _load(file: Path) -> Topic:
    content = read_yaml(file)
    try:
        return _DESCRIPTION.validate_python(content)
    except ValidationError as error:
        # The first part of a place is the kind, by which the form was chosen.
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'][1:])) or 'kind'}: {in_json_words(fault)}"
            for fault in error.errors(include_url=False)
        )
        raise TopicsError(f"{file}: {faults}") from None


def _check_references(catalogue: TopicCatalogue) -> None:
    for topic in catalogue.topics.values():
        if isinstance(topic, RequestTopic):
            for field, name in (("responses", topic.responses), ("dlq", topic.dlq)):
                named = catalogue.topics.get(name)
                if named is None or named.kind != field or named.task != topic.task:
                    raise TopicsError(
                        f"{catalogue.folder}: {topic.name}: {field}: {name!r} is not a described "
                        f"topic of kind {field} and task {topic.task}"
                    )
        for path in (topic.schema_file, *topic.examples):
            if not (catalogue.folder / path).is_file():
                raise TopicsError(f"{catalogue.folder}: {topic.name}: {path} does not exist")
