"""A route as its YAML file describes it."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path as FilePath
from typing import Annotated, Any, Final, Literal

import re2
import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)

from streamproc.enrichment.json_pointer import (
    Path,
    format_pointer,
    has_wildcard,
    overlap,
    parse_pointer,
)
from streamproc.errors import TopicsError
from streamproc.kafka.topics import TopicName
from streamproc.messages.lane import Lane
from streamproc.messages.request import ENSEMBLE_NAME
from streamproc.messages.validation import describe

WHOLE_FIELDS: Final = ("agreement", "entropy", "status", "coverage")
"""What `keep` may name beside the fields of a task's result."""


def _pointer(value: object) -> object:
    return parse_pointer(value) if isinstance(value, str) else value


Pointer = Annotated[Path, BeforeValidator(_pointer), PlainSerializer(format_pointer)]
"""A JSON Pointer; `*` in it stands for every element of an array."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Source(_Part):
    """Where events come from.

    lane:  interactive events are answered before bulk ones
    start: where a group begins that has no committed offset
    """

    topics: list[TopicName] = Field(min_length=1)
    format: Literal["json", "cloudevents"] = "json"
    lane: Literal["interactive", "bulk"] = "interactive"
    start: Literal["earliest", "latest"] = "latest"

    @property
    def priority(self) -> Lane:
        """The lane as requests know it."""
        return Lane[self.lane.upper()]


class Condition(_Part):
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


class Redaction(_Part):
    """The text of `from_` with each entity of these labels replaced, put at `to`.

    with_: what stands for an entity; {label} is its label
    """

    labels: list[str] = Field(min_length=1)
    from_: Pointer = Field(alias="from")
    to: Pointer
    with_: str = Field("<{label}>", alias="with")


class AnswerSpec(_Part):
    """One question asked about each event.

    text, context:  where the text is, or several places; a task takes the one or the other
    question:       a constant, or a pointer
    to:             where the answer goes; without a leading "/", the name of a member beside each
                    text
    keep:           fields of the result, or agreement, entropy, status or coverage; None: all
    default:        what stands for an answer that failed, where `on_error` says so
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    task: str
    ensemble: str = Field(pattern=ENSEMBLE_NAME)
    text: Pointer | list[Pointer] | None = None
    question: str | None = Field(None, min_length=1)
    context: Pointer | list[Pointer] | None = None
    to: str = Field(min_length=1)
    keep: list[str] | None = Field(None, min_length=1)
    params: dict[str, Any] = Field(default_factory=dict)
    redact: Redaction | None = None
    default: Any = None
    on_missing: Literal["skip", "null", "dlq"] = "skip"
    on_error: Literal["default", "annotate", "dlq"] = "annotate"

    @property
    def sources(self) -> tuple[Path, ...]:
        """Where its texts are."""
        given = self.text if self.text is not None else self.context
        return tuple(given) if isinstance(given, list) else (given or (),)

    @property
    def is_beside(self) -> bool:
        """Whether each answer goes beside its text."""
        return not self.to.startswith("/")

    @property
    def has_many(self) -> bool:
        """Whether several texts are asked about, so that answers are told apart by pointer."""
        given = self.text if self.text is not None else self.context
        return isinstance(given, list) or any(map(has_wildcard, self.sources))

    @field_validator("text", "context", mode="before")
    @classmethod
    def _pointers(cls, value: object) -> object:
        if isinstance(value, list):
            return [_pointer(one) for one in value]
        return _pointer(value)

    @field_validator("to")
    @classmethod
    def _is_place(cls, to: str) -> str:
        if to.startswith("/") and has_wildcard(parse_pointer(to)):
            raise ValueError("'*' can't say where one value is; a name without '/' goes beside")
        return to

    @model_validator(mode="after")
    def _fits_together(self) -> AnswerSpec:
        if (self.text is None) == (self.context is None):
            raise ValueError("give text, or question and context")
        if (self.context is None) != (self.question is None):
            raise ValueError("question and context belong together")
        if self.on_error == "default" and "default" not in self.model_fields_set:
            raise ValueError("on_error: default needs a default")
        if self.redact is not None:
            self._check_redaction(self.redact)
        return self

    def _check_redaction(self, redact: Redaction) -> None:
        if self.task != "token-classification":
            raise ValueError("redact: only token-classification finds entities to redact")
        if redact.from_ not in self.sources:
            raise ValueError(f"redact: from: {format_pointer(redact.from_)!r} is not in text")
        if has_wildcard(redact.from_) or has_wildcard(redact.to):
            raise ValueError("redact: from, to: '*' is not taken here")
        if redact.from_ == redact.to and self.on_error != "dlq":
            # An event whose redaction failed would go on with what was to be hidden.
            raise ValueError("redact: in place of the text itself needs on_error: dlq")


class Destination(_Part):
    """Where events go. key: the event's own, or a pointer to what becomes the key."""

    topic: TopicName
    key: str = "same"
    headers: Literal["same", "none"] = "same"

    @property
    def key_path(self) -> Path | None:
        """Where the key is in the event; None: it is the event's own."""
        return None if self.key == "same" else parse_pointer(self.key)

    @field_validator("key")
    @classmethod
    def _is_key(cls, key: str) -> str:
        if key != "same" and has_wildcard(parse_pointer(key)):
            raise ValueError("'*' can't say where one value is")
        return key


class Route(_Part):
    """What is asked about the events of some topics, and where they go with the answers.

    when:         conditions that all must hold; unmatched: what becomes of other events
    meta:         where the event says what became of each answer
    skip_if_done: a replayed event keeps answers of the same manifest that `meta` records
    deadline_ms:  from the event's timestamp; an answer that comes later has failed
    """

    kind: Literal["route"]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    description: str = Field(min_length=10)
    from_: Source = Field(alias="from")
    when: list[Condition] = Field(default_factory=list)
    unmatched: Literal["forward", "drop"] = "forward"
    answers: list[AnswerSpec] = Field(min_length=1)
    to: Destination
    meta: Pointer | None = None
    skip_if_done: bool = False
    dlq: TopicName
    deadline_ms: int | None = Field(None, gt=0, le=7 * 24 * 3600 * 1000)
    topic_partitions: int = Field(12, ge=1, le=10_000)
    retention_ms: int = Field(604_800_000, ge=-1)
    examples: list[str] = Field(default_factory=list)

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
    try:
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        return Route.model_validate(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise TopicsError(f"{file}: not readable as YAML: {error}") from None
    except ValidationError as error:
        raise TopicsError(f"{file}: {describe(error, known=Route.model_fields)}") from None
