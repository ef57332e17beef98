"""A response: the terminal record of a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from streamproc.frozen import frozen
from streamproc.profile import FewerMembers

Status = Literal["ok", "partial", "error"]
MemberStatus = Literal["ok", "late", "failed", "skipped"]
"""skipped: it was not asked for all of the text, as the profile says."""
DeadLetterType = Literal["unreadable", "invalid", "failed"]
"""The errors whose requests are kept as dead letters."""
ErrorType = Literal[DeadLetterType, "deadline", "too-large", "cancelled"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request was not answered, with the members of RFC 9457 that apply to a record.

    type: one of six, to branch on; title: the kind of problem; detail: this occurrence
    """

    type: ErrorType
    title: str
    detail: str


@frozen()
class MemberReport:
    """The status of one member; `result` only where `params.return_members` is true."""

    name: str
    version: str
    status: MemberStatus
    result: dict[str, Any] | None = None


@frozen()
class Coverage:
    """How much of the request's text the models saw, in chunks and in characters of the text."""

    chunks: int
    characters: int
    characters_covered: int
    truncated: bool


@frozen()
class Timing:
    """Milliseconds: waiting for batches, in models, and from consumed to answered.

    age_ms: from the record's timestamp to consumed; None where there was no record
    """

    queue_ms: float
    inference_ms: float
    total_ms: float
    age_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of the ensemble's tokenizer: read of a prompt, and written behind it.

    prompt_tokens: special ones included, as members read them
    completion_tokens: of the answer, without the one that ended it
    """

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class ExperimentArm:
    """The experiment that a request was in, and the arm of it that answered."""

    name: str
    arm: str


@frozen()
class Response:
    """One request's answer.

    manifest: digest of the manifest that the answer was computed under
    agreement: share of the members' weight that agrees with the answer, 0 to 1
    entropy: of the combined probabilities, in nats
    profile: by which fewer members were asked than there are; None: all were
    usage: of a task that continues a prompt
    warnings: fields of the request that look like mistakes: blank, or ignored
    metadata: that of the request, as its JSON text
    experiment: that the request was in; None: in none
    """

    id: str
    task: str
    status: Status
    ensemble: str | None = None
    manifest: str | None = None
    result: dict[str, Any] | None = None
    members: tuple[MemberReport, ...] = ()
    agreement: float | None = None
    entropy: float | None = None
    coverage: Coverage | None = None
    timing: Timing | None = None
    profile: FewerMembers | None = None
    usage: Usage | None = None
    error: Problem | None = None
    warnings: tuple[str, ...] = ()
    metadata: bytes | None = None
    experiment: ExperimentArm | None = None
