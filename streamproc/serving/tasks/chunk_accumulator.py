"""How far a request has come: which members answered for its chunks, and what these covered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamproc.messages.response import Coverage, MemberReport, MemberStatus
from streamproc.serving.inference.batch import MemberOutput
from streamproc.serving.member_failures import quorum_error
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.types import FloatArray, JsonObject


class ChunkAccumulator:
    """What a job has been told of its chunks so far.

    characters: of the text that is cut into chunks
    """

    def __init__(self, spec: EnsembleSpec, characters: int) -> None:
        self._spec = spec
        self._characters = characters
        self._status: list[MemberStatus] = ["ok"] * len(spec.members)
        self._answered: set[int] = set()
        self._chunks = 0
        self._covered_to = 0

    def take(self, outputs: Sequence[MemberOutput], covered_to: int) -> dict[int, FloatArray]:
        """Count a chunk in; returns what members said of it, by the number of each that did.

        covered_to: the characters that are covered with it
        Raises QuorumNotMet, and WorkerFault where that is no fault of the chunk's.
        """
        _require_quorum(outputs, self._spec.needed_members)
        scores = {}
        for index, output in enumerate(outputs):
            if output.scores is not None:
                scores[index] = output.scores
            # What a member failed on says more of it than what it was not asked for.
            elif output.error is not None or self._status[index] == "ok":
                self._status[index] = output.status
        self._answered.update(scores)
        self._chunks += 1
        self._covered_to = covered_to
        return scores

    @property
    def answered(self) -> list[int]:
        """The members that answered for any chunk, by number."""
        return sorted(self._answered)

    def members(
        self, result: Callable[[int], JsonObject] | None = None
    ) -> tuple[MemberReport, ...]:
        """What became of each member; result: each one's own, where that was asked for."""
        results = {} if result is None else {index: result(index) for index in self.answered}
        return self._spec.member_reports(self._status, results)

    def coverage(self) -> Coverage:
        """How much of the text the chunks so far cover."""
        return Coverage(
            chunks=self._chunks,
            characters=self._characters,
            characters_covered=self._covered_to,
            truncated=self._covered_to < self._characters,
        )


def _require_quorum(outputs: Sequence[MemberOutput], needed: int) -> None:
    """Raise what too few answers come to, saying what became of each missing member."""
    failures = {output.member: output.error for output in outputs if output.error is not None}
    answered = len(outputs) - len(failures)
    if answered < needed:
        raise quorum_error(answered, len(outputs), needed, failures)
