"""Which version of an ensemble the workers of a group are to serve, on the topic of models.

The key of a record is `<group>/<ensemble>`, and its value this, as JSON. The topic is compacted: it
holds the last choice for each ensemble, and a worker that starts reads it to its end first. Where
nothing was chosen, the folder of models decides.
"""

from __future__ import annotations

from typing import Final, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamproc.errors import ModelRefused

CHOICE_FORMAT: Final = 1
REMEMBERED: Final = 20
"""Versions served before that a choice remembers, for rolling back."""


class _Part(BaseModel):
    """Fields that a newer streamproc adds are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class VersionDigest(_Part):
    """A version of an ensemble, and the digest of its manifest, which names all of its files."""

    version: str = Field(min_length=1)
    manifest: str = Field(pattern=r"^[0-9a-f]{64}$")


class ModelChoice(_Part):
    """What is to be served.

    group: the consumer group whose workers are told
    before: what was served before, the last one last
    is_pinned: whether others are refused until that is taken back
    at_ms: when it was chosen, in milliseconds since the epoch; by: who chose it
    """

    format: int = CHOICE_FORMAT
    group: str = Field(min_length=1)
    ensemble: str = Field(min_length=1)
    serves: VersionDigest
    before: list[VersionDigest] = Field(default_factory=list)
    is_pinned: bool = False
    at_ms: int = 0
    by: str = ""

    @property
    def key(self) -> bytes:
        """That of its record."""
        return f"{self.group}/{self.ensemble}".encode()

    def encode(self) -> bytes:
        """The value of its record."""
        return orjson.dumps(self.model_dump(mode="json"))

    def promoted(self, to: VersionDigest) -> Self:
        """Another version, and this one to go back to; raises ModelRefused while it is pinned.

        The same version again changes nothing, and has workers that refused it try once more.
        """
        self._require_not_pinned()
        if to == self.serves:
            return self
        before = [*self.before, self.serves][-REMEMBERED:]
        return self.model_copy(update={"serves": to, "before": before})

    def rolled_back(self) -> Self:
        """What was served before; raises ModelRefused where nothing was, and while it is pinned."""
        self._require_not_pinned()
        if not self.before:
            raise ModelRefused(
                f"nothing was served before version {self.serves.version} of {self.ensemble}: "
                "nothing to roll back to"
            )
        return self.model_copy(update={"serves": self.before[-1], "before": self.before[:-1]})

    def pinned(self, *, on: bool) -> Self:
        """The same, kept whatever is promoted, or no longer."""
        return self.model_copy(update={"is_pinned": on})

    def _require_not_pinned(self) -> None:
        if self.is_pinned:
            by = f" by {self.by}" if self.by else ""
            raise ModelRefused(
                f"{self.ensemble} is pinned to version {self.serves.version}{by}; "
                f"streamproc models pin {self.ensemble} --off takes that back"
            )


def read_choice(value: bytes | None) -> ModelChoice | None:
    """The choice in a record's value; None: it is none that this version can read."""
    try:
        return ModelChoice.model_validate(orjson.loads(value or b"null"))
    except (orjson.JSONDecodeError, ValidationError):
        return None
