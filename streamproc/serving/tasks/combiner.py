"""How a job combines what members say of its chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.ensembling.confidence import IDENTITY
from streamproc.serving.inference.batch import MemberOutput, RanTogether, Row, SelectedInput
from streamproc.serving.selection import MemberPolicy, select
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.token_opinions import BatchTokens, TokenOpinions
from streamproc.types import FloatArray, Int64Array, Strategy

ChunkT = TypeVar("ChunkT", bound=Chunk)
LogitsOf = Callable[[Mapping[int, FloatArray]], Mapping[int, FloatArray]]
"""Makes (..., labels) of each member, by number, of the outputs of its model."""


@dataclass(frozen=True, slots=True)
class Opinions:
    """What members say of one chunk, each by itself and all together.

    answered:      numbers of the members that say something
    scores:        (answered, ..., labels), probabilities, or the numbers of a regression
    weights:       (answered,)
    combined:      (..., labels)
    """

    answered: list[int]
    scores: FloatArray
    weights: FloatArray
    combined: FloatArray


@dataclass(frozen=True, slots=True)
class BatchOpinions:
    """The same of all chunks of a batch, of which members score each as a whole.

    tokens:   of each chunk, special ones included
    scores:   (answered, rows, labels)
    weights:  (answered, rows)
    combined: (rows, labels)
    agreeing: for each row, how many of each member's choices are those of all; None: of numbers
        there are none
    choices:  that there are of each chunk
    """

    answered: list[int]
    tokens: list[int]
    scores: FloatArray
    weights: FloatArray
    combined: FloatArray
    agreeing: list[list[int]] | None
    choices: int


def ran_together(
    chunk: Chunk, outputs: Sequence[MemberOutput], scores: Mapping[int, FloatArray]
) -> tuple[RanTogether, int]:
    """The batch that a chunk ran in, and its row; a batch of its own where some have no result."""
    if isinstance(outputs, Row) and outputs.together is not None:
        return outputs.together, outputs.place
    return RanTogether([chunk], [*scores], [[own] for own in scores.values()]), 0


class Combiner:
    """By the way that the request asks for, or the manifest's, which alone is calibrated.

    A member's weight may differ from chunk to chunk: `voting_weight` sums it up.
    """

    def __init__(self, spec: EnsembleSpec, asked: Strategy | None) -> None:
        """Raises Invalid."""
        self._spec = spec
        self._strategy = spec.chosen_strategy(asked)
        is_calibrated = self._strategy == spec.strategy
        self._temperature = spec.temperature if is_calibrated else 1.0
        self.confidence = spec.confidence if is_calibrated else IDENTITY
        self._voting_weight = np.zeros(len(spec.members))

    def combine(self, ids: Int64Array, logits: Mapping[int, FloatArray]) -> Opinions:
        """What members say of a chunk.

        ids: (tokens,) the chunk's; logits: (..., labels) of each member that answered, by number
        """
        answered, head = list(logits), self._spec.head
        scores = head.scores(np.stack([*logits.values()]))
        weights = self._spec.weights(self._strategy, ids)
        weights = weights[answered]
        self._voting_weight[answered] += weights * len(ids)
        combined = head.combine(self._strategy, scores, weights)
        if len(answered) > 1:
            self._spec.note_choices(answered, head.agreeing(scores, combined))
        return Opinions(answered, scores, weights, head.calibrated(combined, self._temperature))

    def combine_batch(self, together: RanTogether, row: int) -> BatchOpinions:
        """What members say of all chunks of a batch, in one of which this request has a part.

        Worked out once for all requests that ask for the same way.
        """
        key = (BatchOpinions, id(self._spec), self._strategy, self._temperature)
        _, found = together.work_out(key, lambda: self._combined_batch(together))
        if found.agreeing is not None and len(found.answered) > 1:
            self._spec.note_agreeing(found.answered, found.agreeing[row], found.choices)
        return found

    def combine_tokens(self, together: RanTogether, row: int) -> TokenOpinions:
        """What members say of each token of a chunk, special ones left out.

        Worked out for all chunks of the batch at once, as by `combine_batch`.
        """
        key = (TokenOpinions, id(self._spec), self._strategy, self._temperature)
        found = together.work_out(
            key, lambda: BatchTokens.of(together, self._spec, self._strategy, self._temperature)
        )
        place = slice(found.begins[row], found.begins[row + 1])
        if len(found.opinions.answered) > 1:
            agreeing = found.agreeing[:, row].tolist()
            self._spec.note_agreeing(found.opinions.answered, agreeing, place.stop - place.start)
        return found.opinions.part(place)

    def count_votes(self, opinions: BatchOpinions, row: int) -> None:
        """Add the members' weights on a chunk to their voting weight."""
        weights = opinions.weights[:, row] * opinions.tokens[row]
        self._voting_weight[opinions.answered] += weights

    def _combined_batch(self, together: RanTogether) -> tuple[EnsembleSpec, BatchOpinions]:
        """With the spec, as the key names it by an identity that may else be another's later."""
        spec, head, answered = self._spec, self._spec.head, [*together.answered]
        ids = [sequence.ids for sequence in together.sequences]
        logits = [
            spec.members[index].labels.align(np.concatenate(own).reshape(len(ids), -1))
            for index, own in zip(answered, together.scores, strict=True)
        ]
        scores = head.scores(np.stack(logits))
        weights = spec.batch_weights(self._strategy, ids)[answered]
        combined = head.combine(self._strategy, scores, weights)
        agreeing, counts, choices = head.agreeing(scores, combined), None, 0
        if agreeing is not None:
            of_rows = agreeing.reshape(len(answered), len(ids), -1)
            counts, choices = of_rows.sum(axis=-1).T.tolist(), of_rows.shape[-1]
        return spec, BatchOpinions(
            answered,
            [len(own) for own in ids],
            scores,
            weights,
            head.calibrated(combined, self._temperature),
            counts,
            choices,
        )

    def voting_weight(self, answered: Sequence[int]) -> FloatArray:
        """(answered,) these members' weight on the chunks that they answered for, by tokens."""
        return self._voting_weight[list(answered)]

    def select(
        self, chunk: ChunkT, policy: MemberPolicy, logits: LogitsOf
    ) -> SelectedInput[ChunkT]:
        """A chunk for those members that a policy asks.

        logits: those of members, of what their models say of the chunk
        """

        def is_settled(said: Mapping[int, FloatArray], margin: float) -> bool:
            return self._is_settled(chunk.ids, logits(said), margin)

        weights = self._spec.weights(self._strategy, chunk.ids)
        return SelectedInput(chunk, select(policy, weights, is_settled))

    def _is_settled(self, ids: Int64Array, logits: Mapping[int, FloatArray], margin: float) -> bool:
        """Whether members choose the same, by at least such a margin in all that is chosen."""
        answered, head = list(logits), self._spec.head
        scores = head.scores(np.stack([*logits.values()]))
        if np.isnan(scores).all(axis=0).any():
            # What only the others can tell may be what they would choose.
            return False
        # Of votes one member's would always be certain.
        strategy = "mean" if self._strategy == "vote" else self._strategy
        combined = head.combine(strategy, scores, self._spec.weights(strategy, ids)[answered])
        agreeing, found = head.agreeing(scores, combined), head.margin(combined)
        return (
            agreeing is not None and found is not None and bool(agreeing.all() and found >= margin)
        )
