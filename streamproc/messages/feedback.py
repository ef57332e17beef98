"""What turned out to be true of a request, on the topic of feedback of its task.

It may come late, in any order, and more than once: the last that was said of an id counts.
"""

from __future__ import annotations

from typing import Annotated, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from streamproc.messages.cloudevents import MAX_ID_CHARACTERS

_Label = Annotated[str, Field(min_length=1)]


class Feedback(BaseModel):
    """The truth about one answer: one of `label`, `correct` and `score`.

    id: that of the request
    label: what the answer should have been, of a classification; of several labels, all of them
    correct: whether the answer was right
    score: how good it was, from 0 to 1
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    id: str = Field(min_length=1, max_length=MAX_ID_CHARACTERS)
    label: _Label | list[_Label] | None = None
    correct: bool | None = None
    score: float | None = Field(None, ge=0, le=1)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if sum(said is not None for said in (self.label, self.correct, self.score)) != 1:
            raise ValueError("one of label, correct and score, and only one, has to be there")
        return self

    def value_of(self, label: str | list[str] | None) -> float | None:
        """How right an answer of that label was, 0 to 1; None: a label can't be compared with it.

        Of several labels, all of them have to be right.
        """
        if self.correct is not None:
            return float(self.correct)
        if self.score is not None:
            return self.score
        if label is None or self.label is None:
            return None
        return float(_set_of(label) == _set_of(self.label))

    def encode(self) -> bytes:
        """The value of its record."""
        return orjson.dumps(self.model_dump(mode="json", exclude_none=True))


def read_feedback(value: bytes | None) -> Feedback | None:
    """The feedback in a record's value; None: it is none."""
    try:
        return Feedback.model_validate(orjson.loads(value or b"null"))
    except (orjson.JSONDecodeError, ValidationError):
        return None


def _set_of(label: str | list[str]) -> frozenset[str]:
    return frozenset([label] if isinstance(label, str) else label)
