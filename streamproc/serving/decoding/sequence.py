"""A sequence under way: its search, its rows with each member, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence as Sequences
from typing import Any

import numpy as np

from streamproc.serving.decoding.member import RowSlice, StepOutput
from streamproc.serving.decoding.prompt import Outcome, Prompt
from streamproc.serving.decoding.search import Decoded, SearchStep, StepScores
from streamproc.serving.member_failures import MemberFailure, quorum_error
from streamproc.types import FloatArray


class Sequence:
    """One submission of a prompt.

    gone:   nobody waits for it any more; it leaves at the next step
    logits: (rows, vocabulary) what each member that is left has said of the next token
    """

    def __init__(
        self, prompt: Prompt, reply: asyncio.Future[Outcome], names: Sequences[str]
    ) -> None:
        """names: of all members, by number"""
        self.prompt = prompt
        self._names = names
        self.reply = reply
        self.gone = False
        self._search = prompt.new_search()
        self._decoded: Decoded | None = None
        self._rows: dict[int, Any] = {}
        self.logits: dict[int, FloatArray] = {}
        self._failures: dict[int, MemberFailure] = {}
        self._advance = SearchStep(np.zeros(1, np.int64), np.zeros(1, np.int64))
        self._written = np.empty((1, 0), np.int64)

    def has(self, member: int) -> bool:
        """Whether a member still takes part."""
        return member in self._rows

    def next_rows(self, member: int) -> RowSlice[Any]:
        """What a member has to step, as the last advance says."""
        return RowSlice(self._rows[member], self._advance.parents, self._advance.tokens)

    def take(self, member: int, stepped: StepOutput[Any] | MemberFailure) -> None:
        """What a member said; one that failed takes no further part."""
        if isinstance(stepped, StepOutput):
            self._rows[member] = stepped.rows
            self.logits[member] = stepped.logits
        else:
            self._rows.pop(member, None)
            self.logits.pop(member, None)
            self._failures[member] = stepped

    @property
    def rows(self) -> int:
        """Rows of its next step."""
        return len(self._advance.tokens)

    @property
    def answered(self) -> tuple[int, ...]:
        """The members that are left."""
        return tuple(sorted(self.logits))

    def evidence(self) -> FloatArray:
        """(members, rows) what tells how much say each member has on the next token."""
        return self.prompt.evidence(self._written)

    def advance(self, scores: StepScores) -> None:
        """Go on by what the members say together; called from a thread, one at a time."""
        self._advance = self._search.advance(scores)
        self._written = np.concatenate(
            (self._written[self._advance.parents], self._advance.tokens[:, None]), axis=1
        )
        if self._advance.is_done:
            self._decoded = self._search.result()

    @property
    def is_done(self) -> bool:
        """Whether its search has ended."""
        return self._advance.is_done

    def fail_below_quorum(self) -> bool:
        """Whether too few members are left; whoever waits is then told so."""
        left = len(self.logits)
        if left >= max(1, self.prompt.needed_members):
            return False
        needed = self.prompt.needed_members
        if not needed:
            self._finish(None)
        else:
            failures = {self._names[member]: why for member, why in self._failures.items()}
            self.fail(quorum_error(left, len(self.prompt.members), needed, failures))
        return True

    def finish(self) -> None:
        """Hand out what its search found."""
        self._finish(self._decoded)

    def fail(self, error: BaseException) -> None:
        """Tell whoever waits."""
        self.gone = True
        if not self.reply.done():
            self.reply.set_exception(error)

    def _finish(self, decoded: Decoded | None) -> None:
        self.gone = True
        if not self.reply.done():
            self.reply.set_result(Outcome(decoded, dict(self._failures)))
