"""One sequence to decode, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamproc.messages.response import MemberStatus
from streamproc.serving.decoding.search import Decoded, SearchStrategy, StepScores
from streamproc.serving.member_failures import MemberFailure, failure_status
from streamproc.types import FloatArray, Int64Array

Evidence = Callable[[Int64Array], FloatArray]
"""Given what each row has written, (rows, tokens): what tells how much say every member has on what
comes next, (members, rows), as `combine` takes it."""

Combine = Callable[[FloatArray, FloatArray, Sequence[int]], StepScores]
"""Given what the members that are left say, (members, rows, vocabulary) logits, the evidence of all
members, and which of them are left. Rows may be of several prompts whose functions are equal: what
is said of one depends on no other."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a sequence starts from, and how it goes on.

    ids:            (tokens,) the prompt of a decoder, or the source of an encoder-decoder
    new_search:     makes its search; called once a submission
    evidence, combine: called at every step, from a thread
    max_new_tokens: how many it may come to; what its cache is admitted by
    beams:          rows it has at most
    members:        indices of the members that are asked
    needed_members: with fewer left it fails; 0: it then comes to nothing, and does not fail
    """

    ids: Int64Array
    new_search: Callable[[], SearchStrategy]
    evidence: Evidence
    combine: Combine
    max_new_tokens: int
    members: tuple[int, ...]
    needed_members: int
    beams: int = 1

    def __len__(self) -> int:
        """Tokens its cache may come to hold."""
        return self.beams * (len(self.ids) + self.max_new_tokens)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decoded, and what became of each member that was asked.

    decoded: None where no member was left, and none was needed
    failures:    why members took no part to the end, by index
    """

    decoded: Decoded | None
    failures: dict[int, MemberFailure]

    def status(self, member: int) -> MemberStatus:
        """ok, late or failed."""
        return failure_status(self.failures[member]) if member in self.failures else "ok"
