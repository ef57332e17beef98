"""A route as its YAML file describes it."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path as FilePath
from typing import Any, Literal

import re2
from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from streamproc.enrichment.answer_spec import AnswerSpec, Part, Pointer, Target
from streamproc.enrichment.json_pointer import (
    Path,
    format_pointer,
    overlap,
    parse_pointer,
    single,
)
from streamproc.errors import TopicsError
from streamproc.kafka.topics import TopicName
from streamproc.kafka.yaml_file import read_yaml
from streamproc.messages.lane import Lane
from streamproc.messages.validation import describe
from streamproc.profile import Profile
from streamproc.settings import MAX_LAG_S


class Source(Part):
    """Where events come from.

    schema_: the file of a schema that samples and examples have, below the folder of the route's
    lane:    interactive events are answered before bulk ones
    start:   where a group begins that has no committed offset
    """

    topics: list[TopicName] = Field(min_length=1)
    format: Literal["json", "cloudevents", "avro", "json-schema"] = "json"
    schema_: str | None = Field(None, alias="schema", min_length=1)
    lane: Literal["interactive", "bulk"] = "interactive"
    start: Literal["earliest", "latest"] = "latest"

    @property
    def has_registry(self) -> bool:
        """Whether a schema registry holds the events' schemas."""
        return self.format in ("avro", "json-schema")

    @property
    def priority(self) -> Lane:
        """The lane as requests know it."""
        return Lane[self.lane.upper()]


class Condition(Part):
    """What the value at a pointer has to be; exactly one of the others is given.

    exists:  whether there is a value that is not null
    matches: a regular expression of RE2, whose time is linear, that is found in a string
    """

    at: Pointer
    in_: list[Any] | None = Field(None, alias="in", min_length=1)
    equals: Any = None
    exists: bool | None = None
    matches: str | None = None

    @field_validator("matches")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            options = re2.Options()
            options.log_errors = False
            try:
                re2.compile(pattern, options)
            except re2.error as error:
                reason = error.args[0] if error.args else ""
                text = reason.decode() if isinstance(reason, bytes) else str(reason)
                raise ValueError(f"no regular expression that RE2 takes: {text}") from None
        return pattern

    @model_validator(mode="after")
    def _one_test(self) -> Condition:
        given = self.model_fields_set - {"at"}
        if len(given) != 1:
            raise ValueError("give exactly one of in, equals, exists, matches")
        return self


class Destination(Part):
    """Where events go.

    subject: what their schema is registered under; None: the topic's name with `-value`
    key:     the event's own, or a pointer to what becomes the key
    """

    topic: TopicName
    subject: str | None = Field(None, min_length=1, max_length=255)
    key: str = "same"
    headers: Literal["same", "none"] = "same"

    @property
    def key_path(self) -> Path | None:
        """Where the key is in the event; None: it is the event's own."""
        return None if self.key == "same" else parse_pointer(self.key)

    @field_validator("key")
    @classmethod
    def _is_key(cls, key: str) -> str:
        if key != "same":
            single(parse_pointer(key))
        return key


class Route(Part):
    """What is asked about the events of some topics, and where they go with the answers.

    when:         conditions that all must hold; unmatched: what becomes of other events
    meta:         where the event says what became of each answer
    skip_if_done: a replayed event keeps answers of the same manifest that `meta` records
    deadline_ms:  from the event's timestamp; an answer that comes later has failed
    profile, brown_out_lag_s, cache: as of a topic of requests (`RequestTopic`)
    """

    kind: Literal["route"]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    description: str = Field(min_length=10)
    from_: Source = Field(alias="from")
    when: list[Condition] = Field(default_factory=list)
    unmatched: Literal["forward", "drop"] = "forward"
    answers: list[AnswerSpec] = Field(min_length=1)
    to: Destination
    meta: Target | None = None
    skip_if_done: bool = False
    dlq: TopicName
    deadline_ms: int | None = Field(None, gt=0, le=7 * 24 * 3600 * 1000)
    profile: Profile | None = None
    brown_out_lag_s: float | None = Field(None, ge=0, le=MAX_LAG_S, strict=False)
    cache: bool | None = None
    topic_partitions: int = Field(12, ge=1, le=10_000)
    retention_ms: int = Field(604_800_000, ge=-1)
    examples: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_schemas(self) -> Route:
        if not self.from_.has_registry:
            given = {"from.schema": self.from_.schema_, "to.subject": self.to.subject}
            field = next((name for name, value in given.items() if value is not None), None)
            if field is not None:
                raise ValueError(
                    f"{field} is for format avro or json-schema, not {self.from_.format}"
                )
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Route:
        names = [answer.name for answer in self.answers]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"answers: two are called {', '.join(sorted(twice))}")
        if self.meta is None:
            if self.skip_if_done:
                raise ValueError("skip_if_done needs meta: it is where finished answers are told")
            if told := [answer.name for answer in self.answers if answer.on_error == "annotate"]:
                raise ValueError(
                    f"answers: {', '.join(told)}: on_error: annotate needs meta, where the event "
                    "says that an answer failed"
                )
        for (one, place), (other, elsewhere) in combinations(self._places(), 2):
            same_redaction = (
                place == elsewhere and one.endswith(" redact") and other.endswith(" redact")
            )
            if overlap(place, elsewhere) and not same_redaction:
                raise ValueError(
                    f"{one} and {other} would be put in one place: "
                    f"{format_pointer(place)}, {format_pointer(elsewhere)}"
                )
        if self.dlq == self.to.topic:
            raise ValueError("dlq: dead letters need a topic of their own")
        return self

    def _places(self) -> list[tuple[str, Path]]:
        """Where something is put, and what for."""
        places: list[tuple[str, Path]] = []
        for answer in self.answers:
            if answer.is_beside:
                places += [(answer.name, (*path[:-1], answer.to)) for path in answer.sources]
            else:
                places.append((answer.name, parse_pointer(answer.to)))
            if answer.redact is not None:
                places.append((f"{answer.name} redact", answer.redact.to))
        if self.meta is not None:
            places.append(("meta", self.meta))
        return places


def load_route(file: FilePath) -> Route:
    """The route in a YAML file; raises TopicsError naming the file and the field."""
    content = read_yaml(file)
    try:
        return Route.model_validate(content)
    except ValidationError as error:
        raise TopicsError(f"{file}: {describe(error, model=Route)}") from None
