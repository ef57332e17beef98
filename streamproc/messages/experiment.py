"""An experiment: versions of an ensemble that share the requests of a task, on the topic of them.

The key of a record is `<group>/<experiment>`, and its value this, as JSON. The topic is compacted:
it holds the last that was said of each experiment, and a worker that starts reads it to its end
before it takes a request.
"""

from __future__ import annotations

from typing import Final, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from streamproc.errors import SettingsError
from streamproc.messages.model_choice import VersionDigest

EXPERIMENT_FORMAT: Final = 1
EXPERIMENT_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"

Outcome = Literal["accuracy", "errors", "response-time"]
"""What an experiment is decided by."""
ExperimentState = Literal["running", "stopped", "promoted"]


class _Part(BaseModel):
    """Fields that a newer streamproc adds are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Arm(_Part):
    """A version of an ensemble, and its share of the requests.

    name: `<ensemble>@<version>`
    manifest: digest of its manifest, which names all of its files
    weight: of an arm that answers, in proportion to those of the others; of a shadow arm, the share
        of all requests, 0 to 1, that it is asked beside the arm that answers
    is_shadow: whether its answers go to nobody but the experiment's record
    """

    name: str = Field(min_length=1)
    ensemble: str = Field(min_length=1)
    version: str = Field(min_length=1)
    manifest: str = Field(pattern=r"^[0-9a-f]{64}$")
    weight: float = Field(1.0, gt=0, le=1_000_000)
    is_shadow: bool = False

    @property
    def serves(self) -> VersionDigest:
        """The version that it is."""
        return VersionDigest(version=self.version, manifest=self.manifest)


class Experiment(_Part):
    """What is compared, and on which requests.

    group: the consumer group whose workers take part
    ensemble: requests that this one would answer, and that name none, are in the experiment
    topics, routes: only requests of these; both empty: of all
    arms: the first is the control, which others are compared with
    decides: the outcome that says which arm is better; settled before the first look
    started_ms: milliseconds since the epoch; another one when an experiment of that name is begun
        anew, so that what was seen before does not count
    round: one more each time that weights were changed while it ran
    promoted: the arm that was promoted at its end
    at_ms: when this was said; by: who said it
    """

    format: int = EXPERIMENT_FORMAT
    group: str = Field(min_length=1)
    name: str = Field(pattern=EXPERIMENT_NAME)
    task: str = Field(min_length=1)
    ensemble: str = Field(min_length=1)
    topics: list[str] = Field(default_factory=list)
    routes: list[str] = Field(default_factory=list)
    arms: list[Arm] = Field(min_length=2)
    decides: Outcome = "accuracy"
    state: ExperimentState = "running"
    started_ms: int = 0
    round: int = Field(1, ge=1)
    promoted: str | None = None
    at_ms: int = 0
    by: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.arms[0].is_shadow:
            raise ValueError("the first arm is the control, which answers: it can't be a shadow")
        if len({arm.name for arm in self.arms}) < len(self.arms):
            raise ValueError("an arm is named twice")
        if any(arm.is_shadow and arm.weight > 1 for arm in self.arms):
            raise ValueError("a shadow arm can't be asked for more than all requests")
        if len(self.answering) == 1 and self.decides != "accuracy":
            raise ValueError("a shadow, which is asked later, can be compared by accuracy alone")
        return self

    @property
    def key(self) -> bytes:
        """That of its record."""
        return f"{self.group}/{self.name}".encode()

    @property
    def control(self) -> Arm:
        """What the others are compared with."""
        return self.arms[0]

    @property
    def answering(self) -> list[Arm]:
        """The arms whose answers are given."""
        return [arm for arm in self.arms if not arm.is_shadow]

    @property
    def shadows(self) -> list[Arm]:
        """The arms whose answers nobody gets."""
        return [arm for arm in self.arms if arm.is_shadow]

    @property
    def challengers(self) -> list[Arm]:
        """The arms that may turn out to be better than the control: shadows where no other is."""
        return self.answering[1:] or self.shadows

    @property
    def is_running(self) -> bool:
        """Whether requests are split."""
        return self.state == "running"

    def includes(self, ensemble: str, place: str) -> bool:
        """Whether requests for an ensemble are in it; place: the topic or route they come by."""
        everywhere = not self.topics and not self.routes
        return ensemble == self.ensemble and (everywhere or place in (*self.topics, *self.routes))

    def overlaps(self, other: Experiment) -> bool:
        """Whether a request may be in both."""
        places, of_other = {*self.topics, *self.routes}, {*other.topics, *other.routes}
        anywhere = not places or not of_other
        return self.ensemble == other.ensemble and (anywhere or bool(places & of_other))

    def arm(self, name: str) -> Arm:
        """Raises SettingsError naming those there are."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        there = ", ".join(arm.name for arm in self.arms)
        raise SettingsError(f"no arm {name!r} in the experiment {self.name}; there are: {there}")

    def begun_anew(self, before: Experiment | None) -> Self:
        """This one as it is to be stored, after what was said of its name before.

        While it runs, weights may be changed, and nothing else. Raises SettingsError.
        """
        if before is None or not before.is_running:
            return self.model_copy(update={"started_ms": self.at_ms, "round": 1})
        if self.but_weights() != before.but_weights():
            raise SettingsError(
                f"the experiment {self.name} runs already, with arms or requests that are not "
                f"these: `streamproc experiments stop {self.name}` ends it; while it runs, only "
                "weights can be changed"
            )
        changed = self.arms != before.arms
        return self.model_copy(
            update={"started_ms": before.started_ms, "round": before.round + changed}
        )

    def ended(self, promoted: str | None = None) -> Self:
        """The same, and no request is split any more; raises SettingsError where it has ended."""
        if not self.is_running:
            raise SettingsError(f"the experiment {self.name} has ended already: {self.state}")
        state = "stopped" if promoted is None else "promoted"
        return self.model_copy(update={"state": state, "promoted": promoted})

    def encode(self) -> bytes:
        """The value of its record."""
        return orjson.dumps(self.model_dump(mode="json"))

    def but_weights(self) -> tuple[object, ...]:
        """What may not be changed while it runs."""
        arms = [(arm.name, arm.manifest, arm.is_shadow) for arm in self.arms]
        return self.ensemble, self.topics, self.routes, arms, self.decides


def read_experiment(value: bytes | None) -> Experiment | None:
    """The experiment in a record's value; None: it is none that this version can read."""
    try:
        return Experiment.model_validate(orjson.loads(value or b"null"))
    except (orjson.JSONDecodeError, ValidationError):
        return None
