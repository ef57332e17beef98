"""Scores of a text's windows that become one row for each member, and one for all together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.disagreements import Choices
from streamproc.serving.inference.batch import MemberOutput, RanTogether
from streamproc.serving.tasks.classification_params import TextClassificationParams
from streamproc.serving.tasks.combiner import BatchOpinions, ran_together
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.labelled_text import LabelledTextJob
from streamproc.serving.tasks.task import Answer, TextInputs
from streamproc.types import FloatArray, JsonObject


class Tally(Protocol):
    """Scores of windows becoming those of the text, for each of several opinions at once."""

    def add(self, rows: list[int], scores: FloatArray, tokens: int) -> None:
        """Take what the opinions `rows` hold of one window: (rows, outputs), NaN where unknown."""
        ...

    def scores(self, rows: list[int]) -> FloatArray:
        """(rows, outputs), NaN where an opinion does not know one."""
        ...


class Conclusion(NamedTuple):
    """What the members say of a text together."""

    result: JsonObject
    agreement: float | None
    entropy: float | None


class TalliedTextJob(LabelledTextJob):
    """A text whose windows are scored by every member, and the scores tallied."""

    def __init__(
        self,
        inputs: TextInputs,
        params: TextClassificationParams,
        spec: EnsembleSpec,
    ) -> None:
        super().__init__(inputs.text, spec, params.combine, truncate=params.truncate)
        self._params = params
        # Each member's opinion, and last the combined one.
        self._together = len(spec.members)

    @cached_property
    def _tally(self) -> Tally:
        return self.tally(self._together + 1, len(self._spec.labels))

    @abstractmethod
    def tally(self, opinions: int, outputs: int) -> Tally:
        """Nothing tallied yet."""

    @abstractmethod
    def result(self, scores: FloatArray) -> JsonObject:
        """What one opinion says of the text. scores: (outputs,)"""

    @abstractmethod
    def conclude(self, scores: FloatArray, members: FloatArray, weights: FloatArray) -> Conclusion:
        """What all say together.

        scores:  (outputs,) of the combined opinion
        members: (members, outputs) of those that have answered
        weights: (members,) of their votes
        """

    def choice(self, scores: FloatArray) -> str:
        """What one opinion chooses, in labels alone; empty: of numbers none is chosen."""
        return ""

    def add(self, chunk: Chunk, outputs: tuple[MemberOutput, ...]) -> None:
        scores = self._accumulator.take(outputs, chunk.end)
        together, row = ran_together(chunk, outputs, scores)
        self.add_row(chunk, together, self._combiner.combine_batch(together, row), row)

    def add_row(
        self, chunk: Chunk, together: RanTogether, opinions: BatchOpinions, row: int
    ) -> None:
        """Take what the members say of a window, a row of its batch."""
        self._combiner.count_votes(opinions, row)
        self._tally.add(
            [*opinions.answered, self._together],
            np.concatenate((opinions.scores[:, row], opinions.combined[None, row])),
            max(1, chunk.content_tokens),
        )

    def answer(self) -> Answer:
        answered = self._accumulator.answered
        *members, scores = self._tally.scores([*answered, self._together])
        by_member = dict(zip(answered, members, strict=True))
        own = (lambda index: self.result(by_member[index])) if self._params.return_members else None
        together = self.conclude(scores, np.stack(members), self._combiner.voting_weight(answered))
        return Answer(
            result=together.result,
            members=self._accumulator.members(own),
            agreement=together.agreement,
            entropy=together.entropy,
            coverage=self._accumulator.coverage(),
            choices=self._choices(scores, by_member, together.agreement),
        )

    def _choices(
        self, scores: FloatArray, by_member: Mapping[int, FloatArray], agreement: float | None
    ) -> Choices | None:
        if agreement is None or agreement == 1:
            return None
        names = self._spec.members
        chosen = {names[index].name: self.choice(own) for index, own in by_member.items()}
        return Choices(self.choice(scores), chosen)
