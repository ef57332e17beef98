"""What a worker says of itself every few seconds, on the topic of states.

The key of a record is the worker's id, and its value this, as JSON. A worker that stops writes a
tombstone; one that was killed writes nothing any more, and is known by that.
"""

from __future__ import annotations

from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

STATE_FORMAT: Final = 1
STALE_AFTER_INTERVALS: Final = 5
"""A worker that has missed so many records is taken to be gone."""


class _Part(BaseModel):
    """Fields that a newer worker adds are passed over, and those that it drops have defaults."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Traffic(_Part):
    """Records of one kind: how many, how fast, and which wait.

    per_s, errors_per_s, p50_ms, p99_ms: over the last `window_s` seconds of the state; None:
        nothing came
    finished: since the worker began, by how they ended; `cancelled` are no errors
    errors: of those, by type
    waiting: records of the assigned topic-partitions that are not finished
    oldest_ms: for how long the oldest of them has been in Kafka; None: none waits
    """

    per_s: float = 0.0
    errors_per_s: float = 0.0
    p50_ms: float | None = None
    p99_ms: float | None = None
    finished: dict[str, int] = Field(default_factory=dict)
    errors: dict[str, int] = Field(default_factory=dict)
    waiting: int = 0
    oldest_ms: int | None = None


class LaneState(Traffic):
    """The requests of one task on one lane; topics: that they come by."""

    task: str
    lane: str
    topics: list[str] = Field(default_factory=list)


class RouteState(Traffic):
    """The events of one route; topics: that it reads. `finished` is by outcome."""

    name: str
    topics: list[str] = Field(default_factory=list)


class MemberState(_Part):
    """One member of an ensemble.

    late, failed: chunks without its result, since the worker began
    agreement: share of the ensemble's choices, 0 to 1, that were its own too; None: none yet
    ms_per_1000_tokens: of a model thread's time; None: it was not asked
    """

    name: str
    version: str
    late: int = 0
    failed: int = 0
    agreement: float | None = None
    ms_per_1000_tokens: float | None = None


class DisagreementState(_Part):
    """One request whose members chose otherwise than all together; nothing of its text.

    at_ms: when it was answered, milliseconds since the epoch
    request_id: that of its response
    position: of its record, `topic:topic-partition:offset`
    agreement: that of its response, 0 to 1
    together: what was answered: labels, or where in the context the answer is
    members: what each member that answered chose, by its name
    """

    at_ms: int
    request_id: str
    position: str
    agreement: float
    together: str
    members: dict[str, str] = Field(default_factory=dict)


class EnsembleState(_Part):
    """One ensemble, over the last `window_s` seconds of the state.

    version, manifest: that it is served in, and the digest of its manifest
    wanted: the version that is promoted, where another one is served; refused: why
    followed_at_ms: when that was chosen which is served or refused by now; None: nothing was
    tokens_per_s: padding left out
    batch_fill: padded tokens of a batch to those that it may have, 0 to 1; None: no batch was run
    padding: padded tokens to those there are, at least 1; None: no batch was run
    disagreements: the last of them, the newest first
    """

    name: str
    task: str
    version: str = ""
    manifest: str = ""
    wanted: str | None = None
    refused: str | None = None
    followed_at_ms: int | None = None
    tokens_per_s: float = 0.0
    queued_tokens: int = 0
    batch_fill: float | None = None
    padding: float | None = None
    members: list[MemberState] = Field(default_factory=list)
    disagreements: list[DisagreementState] = Field(default_factory=list)


class ExperimentState(_Part):
    """An experiment that the worker takes part in.

    followed_at_ms: when that was said of it which the worker goes by
    refused: why arms are not served, by their names; the control arm answers in their place
    """

    name: str
    followed_at_ms: int = 0
    refused: dict[str, str] = Field(default_factory=dict)


class MachineState(_Part):
    """What the worker has of its machine.

    cpu: of one core, so that 2 are two cores
    cpu_seconds: that the process has used since it began; None: the platform does not say
    device_used_bytes, device_total_bytes: of the GPU, whoever uses it; None: there is none
    """

    device: str = "cpu"
    threads: int = 0
    cpu: float | None = None
    cpu_seconds: float | None = None
    resident_bytes: int | None = None
    device_used_bytes: int | None = None
    device_total_bytes: int | None = None


class WorkerState(_Part):
    """Everything that a worker knows of itself.

    worker: its id, another one after every start
    group: its consumer group
    at_ms, started_ms: milliseconds since the epoch
    interval_s: seconds until the next state
    window_s: seconds that rates and quantiles are of
    reasons: why it is not ready
    in_flight_bytes: of requests taken and not finished, by lane
    max_in_flight_bytes: that each lane may have
    """

    format: int = STATE_FORMAT
    worker: str
    group: str
    version: str
    host: str = ""
    pid: int = 0
    at_ms: int
    started_ms: int
    interval_s: float
    window_s: float = 60.0
    ready: bool
    reasons: list[str] = Field(default_factory=list)
    tasks: list[str] = Field(default_factory=list)
    in_flight_bytes: dict[str, int] = Field(default_factory=dict)
    max_in_flight_bytes: int = 0
    lanes: list[LaneState] = Field(default_factory=list)
    routes: list[RouteState] = Field(default_factory=list)
    ensembles: list[EnsembleState] = Field(default_factory=list)
    machine: MachineState = MachineState()
    experiments: list[ExperimentState] = Field(default_factory=list)

    def encode(self) -> bytes:
        """The value of its record."""
        return orjson.dumps(self.model_dump(mode="json"))

    def is_stale(self, now_ms: int) -> bool:
        """Whether the worker has been silent for too long to be running."""
        return now_ms - self.at_ms > self.interval_s * 1000 * STALE_AFTER_INTERVALS


def read_state(value: bytes) -> WorkerState | None:
    """The state in a record's value; None: it is none that this version can read."""
    try:
        return WorkerState.model_validate(orjson.loads(value))
    except (orjson.JSONDecodeError, ValidationError):
        return None
