"""What one arm of an experiment made of one request, on the topic of exposures.

Nothing of the request's text is in it. The key of a record is the request's id, by which its truth
is found later. A request that is answered again after a worker was killed may be there twice: the
first counts.
"""

from __future__ import annotations

from typing import Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

EXPOSURE_FORMAT: Final = 1
LARGEST_INTEGER: Final = 2**53
"""That every reader of JSON keeps exactly."""
FAILED_OVER: Final = "failed-over"
"""The error of an arm that was not able to answer, so that the version that serves did."""
NOT_SERVED: Final = "not-served"
"""That the worker could not load the arm, so that the control arm answered: no error of the arm's,
and of no use for comparing it."""

Length = Literal["1-127", "128-511", "512-2047", "2048+"]
"""Of a request's texts together, in characters."""
_BOUNDS: Final[tuple[tuple[int, Length], ...]] = (
    (128, "1-127"),
    (512, "128-511"),
    (2048, "512-2047"),
)


class Exposure(BaseModel):
    """One request and one arm.

    group, experiment, started_ms, round: of the experiment, as its record has them
    unit: a digest of the record's key; the requests of one are of one arm
    place: the topic or route that it came by
    length: of its texts together, in characters
    error: the type of the error; `failed-over`: the version that serves answered in its place,
        `not-served`: the control arm did, as the worker could not load the arm
    total_ms, queue_ms: until it was answered, and of these waiting for a batch; None: not known
    agreement: share of the members' weight that agrees with the answer
    label: what was answered, of a classification; of several labels, these in order
    at_ms: when it was answered, in milliseconds since the epoch
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = EXPOSURE_FORMAT
    group: str
    experiment: str
    started_ms: int
    round: int = Field(1, ge=1, le=LARGEST_INTEGER)
    arm: str
    is_shadow: bool = False
    id: str
    unit: str = Field(pattern=r"^[0-9a-f]{16}$")
    task: str
    place: str
    lane: str
    length: Length
    status: Literal["ok", "partial", "error"]
    error: str | None = None
    total_ms: float | None = Field(None, ge=0)
    queue_ms: float | None = Field(None, ge=0)
    agreement: float | None = None
    label: str | list[str] | None = None
    at_ms: int = Field(ge=0, le=LARGEST_INTEGER)

    @property
    def key(self) -> bytes:
        """That of its record."""
        return self.id.encode("utf-8", "replace")

    def encode(self) -> bytes:
        """The value of its record."""
        return orjson.dumps(self.model_dump(mode="json", exclude_none=True))


def length_of(characters: int) -> Length:
    """The bucket of a length."""
    return next((name for bound, name in _BOUNDS if characters < bound), "2048+")


def read_exposure(value: bytes | None) -> Exposure | None:
    """The exposure in a record's value; None: it is none that this version can read."""
    try:
        return Exposure.model_validate(orjson.loads(value or b"null"))
    except (orjson.JSONDecodeError, ValidationError):
        return None
