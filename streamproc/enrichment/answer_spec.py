"""What a route asks about each event, as its file describes it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from streamproc.enrichment.json_pointer import (
    Path,
    format_pointer,
    has_wildcard,
    parse_pointer,
    single,
)
from streamproc.messages.request import ENSEMBLE_NAME

WHOLE_FIELDS: Final = ("agreement", "entropy", "status", "coverage", "profile")
"""What `keep` may name beside the fields of a task's result."""


def _pointer(value: object) -> object:
    return parse_pointer(value) if isinstance(value, str) else value


Pointer = Annotated[Path, BeforeValidator(_pointer), PlainSerializer(format_pointer)]
"""A JSON Pointer; `*` in it stands for every element of an array."""


def _target(path: Path) -> Path:
    if not path:
        raise ValueError("it would replace the whole event; name a member of it, such as /nlp")
    return single(path)


Target = Annotated[Pointer, AfterValidator(_target)]
"""Where something can be put: one place, within the event."""


class Part(BaseModel):
    """A part of a route's description: its values as they are written, none of them unknown."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Redaction(Part):
    """The text of `from_` with each entity of these labels replaced, put at `to`.

    with_: what stands for an entity; {label} is its label
    """

    labels: list[str] = Field(min_length=1)
    from_: Annotated[Pointer, AfterValidator(single)] = Field(alias="from")
    to: Target
    with_: str = Field("<{label}>", alias="with")


class AnswerSpec(Part):
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
        if to.startswith("/"):
            try:
                _target(parse_pointer(to))
            except ValueError as error:
                raise ValueError(f"{error}; a name without '/' goes beside each text") from None
        return to

    @model_validator(mode="after")
    def _fits_together(self) -> AnswerSpec:
        if (self.text is None) == (self.context is None):
            raise ValueError("give text, or question and context")
        if (self.context is None) != (self.question is None):
            raise ValueError("question and context belong together")
        if self.on_error == "default" and "default" not in self.model_fields_set:
            raise ValueError("on_error: default needs a default")
        if self.on_error != "default" and "default" in self.model_fields_set:
            raise ValueError(f"default: on_error: {self.on_error} has no use for it")
        if self.redact is not None:
            self._check_redaction(self.redact)
        return self

    def _check_redaction(self, redact: Redaction) -> None:
        if self.task != "token-classification":
            raise ValueError("redact: only token-classification finds entities to redact")
        if redact.from_ not in self.sources:
            raise ValueError(f"redact: from: {format_pointer(redact.from_)!r} is not in text")
        if self.params.get("truncate"):
            raise ValueError("redact: with params.truncate the rest of a text would go unmasked")
        if redact.from_ == redact.to and self.on_error != "dlq":
            # An event whose redaction failed would go on with what was to be hidden.
            raise ValueError("redact: in place of the text itself needs on_error: dlq")
