"""Every error streamproc raises on purpose.

* StreamprocError
  + Invalid                 a request that can never be answered as it stands
    · Unreadable            ... because its bytes are not a JSON object
    · TooLarge              ... because it is larger than a limit
    · RefusedRecord         ... because a topic takes no record like its answer
    · AnswerTooLarge        ... because its answer would be
    · DeadlineExceeded      ... because its deadline has passed
    · Cancelled             ... because whoever asked has taken it back
  + MemberError             one member, on one batch
    · MemberFailed          its session raised, or returned numbers that are not finite
    · MemberLate            it took longer than the call time-out
  + QuorumNotMet            too few members answered for one chunk
    · MembersLate           ... and some of the others took too long; another try may do
  + WorkerFault             this worker can't do it now; another attempt may succeed
    · MemberDown            a member hangs, or fails on everything
    · OutOfMemory           the device has no memory for the batch
    · BrokerUnavailable     Kafka can't be reached
    · RegistryUnavailable   the schema registry can't be reached
  + OperatorError           somebody has to change something before this can work
    · SettingsError         a setting is missing or has an impossible value
    · ModelRefused          a manifest or a model does not fit
    · DataFileError         a file of rows can't be read, or not as what it is said to be
    · NoKafka               no broker answers a command
    · KafkaRefused          brokers do not let this client in, and won't however long it waits
    · TopicsError           topics are missing, or differ from what is described
    · EmbeddedBrokerError   the embedded Kafka can't start
    · TrainingError         a corpus or a base model can't be trained on
    · EvaluationError       data or ensembles can't be measured together
  + RequestError            what a client asked got no answer
    · RequestRefused        ... because it can't be answered as it stands
    · RequestFailed         ... because the models failed on it, were too late, or it was taken back
    · ServiceUnavailable    ... because nobody answers at present; another try may be answered

`Invalid` is the sender's to mend, `WorkerFault` is waited out, `OperatorError` ends a command with
exit code 2 and its message alone: every message says what was wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Collection


class StreamprocError(Exception):
    """Base of all errors that streamproc raises on purpose."""


class Invalid(StreamprocError):
    """The request can't be answered as it stands.

    title:  the kind of fault, the same for every request that has it
    detail: what was wrong with this request, and what would be right
    """

    def __init__(self, title: str, detail: str) -> None:
        super().__init__(f"{title}: {detail}")
        self.title = title
        self.detail = detail


class Unreadable(Invalid):
    """The bytes of the request are not a JSON object, or one that is nested too deeply."""


class TooLarge(Invalid):
    """The request, or its answer, is larger than a limit."""


class RefusedRecord(Invalid):
    """A broker does not take the record that is to be published, for what it is."""


class AnswerTooLarge(Invalid):
    """The answer would be larger than a limit; noticed before it fills the memory."""


class DeadlineExceeded(Invalid):
    """The request's deadline has passed; nobody waits for the answer any more."""


class Cancelled(Invalid):
    """Whoever asked has taken the request back; nobody waits for the answer any more.

    is_begun: whether it was being answered by then
    """

    def __init__(self, *, is_begun: bool) -> None:
        when = "while it was answered" if is_begun else "before it was begun"
        super().__init__("taken back", f"whoever asked stopped waiting {when}")
        self.is_begun = is_begun


class MemberError(StreamprocError):
    """A member did not answer for a batch."""

    def __init__(self, member: str, reason: str) -> None:
        super().__init__(f"member {member}: {reason}")
        self.member = member
        self.reason = reason


class MemberFailed(MemberError):
    """A member's session raised an error, or returned numbers that are not finite."""


class MemberLate(MemberError):
    """A member took longer than the call time-out."""


class QuorumNotMet(StreamprocError):
    """Fewer members answered for a chunk than the ensemble's quorum asks for.

    missing: the names of those that did not
    """

    def __init__(self, message: str, missing: Collection[str] = ()) -> None:
        super().__init__(message)
        self.missing = tuple(missing)


class MembersLate(QuorumNotMet):
    """The quorum was missed because members took too long, which they may not another time."""


class WorkerFault(StreamprocError):
    """The worker can't answer now, though the request is good; it is tried again."""


class MemberDown(WorkerFault):
    """A member answers nobody at present: it hangs, or fails on everything."""

    def __init__(self, member: str, reason: str, *, hangs: bool = False) -> None:
        super().__init__(f"member {member} {reason}")
        self.member = member
        self.hangs = hangs


class OutOfMemory(WorkerFault):
    """The device has no memory for the batch."""


class TooManyFailed(WorkerFault):
    """More requests failed by the worker's own fault than may: it has to end."""


class BrokerUnavailable(WorkerFault):
    """Kafka can't be reached."""


class RegistryUnavailable(WorkerFault):
    """The schema registry can't be reached, or does not answer as one."""


class OperatorError(StreamprocError):
    """Somebody has to change something before this can work."""


class SettingsError(OperatorError):
    """A setting is missing or has an impossible value."""


class ModelRefused(OperatorError):
    """A manifest or a model is not what it should be, and is not loaded."""


class DataFileError(OperatorError):
    """A file of rows can't be read, or is not what its name or an option says."""


class NoKafka(OperatorError):
    """No broker answers a command, or none does any more; a worker waits for one."""


class KafkaRefused(OperatorError):
    """Brokers do not let this client in, for credentials or certificates."""


class TopicsError(OperatorError):
    """Topics are missing, or differ from their description."""


class EmbeddedBrokerError(OperatorError):
    """The embedded Kafka can't start."""


class TrainingError(OperatorError):
    """A corpus or a base model can't be trained on."""


class TrainingDiverged(TrainingError):
    """No epoch of a training has a loss that is a number."""


class EvaluationError(OperatorError):
    """Data or ensembles can't be measured, or not beside each other."""


class RequestError(StreamprocError):
    """What a client asked got no answer.

    type:   to branch on: that of a response's error, or of a gateway's problem
    title:  the kind of fault
    detail: this occurrence, and what to do
    """

    def __init__(self, type_: str, title: str, detail: str) -> None:
        super().__init__(f"{title}: {detail}")
        self.type = type_
        self.title = title
        self.detail = detail


class RequestRefused(RequestError):
    """The request can't be answered as it stands: change it as the detail says."""


class RequestFailed(RequestError):
    """The models failed on the request, its deadline passed, or it was taken back."""


class ServiceUnavailable(RequestError):
    """Nobody answers at present; the same request may be answered later.

    retry_after_s: when to try again, where that is known
    """

    def __init__(
        self, type_: str, title: str, detail: str, retry_after_s: float | None = None
    ) -> None:
        super().__init__(type_, title, detail)
        self.retry_after_s = retry_after_s
