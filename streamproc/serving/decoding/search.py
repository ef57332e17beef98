"""How one sequence goes on from step to step; a search is told scores and answers with tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from streamproc.types import FloatArray, Int64Array

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class StepScores:
    """What the members, combined, say of the next token of each row of one sequence.

    log_probabilities: (rows, vocabulary)
    entropy:           (rows,) of the combined probabilities, in nats
    agreement:         (rows,) share of the members' weight whose likeliest token is the combined's
    log_normaliser:    (rows,) or (1,), what added to the log-probabilities gives logits of the
        members' scale, on which a repetition penalty depends
    """

    log_probabilities: FloatArray
    entropy: FloatArray
    agreement: FloatArray
    log_normaliser: FloatArray = field(default_factory=lambda: np.zeros(1))

    def rows(self, first: int, end: int) -> StepScores:
        """Of these rows."""
        return StepScores(
            self.log_probabilities[first:end],
            self.entropy[first:end],
            self.agreement[first:end],
            self.log_normaliser[first:end] if len(self.log_normaliser) > 1 else self.log_normaliser,
        )


@dataclass(frozen=True, slots=True)
class SearchStep:
    """How a sequence goes on: for each row of the next step, the row it comes from and its token.

    parents, tokens: (next rows,) int64; both empty once the search is done
    """

    parents: Int64Array
    tokens: Int64Array

    @property
    def is_done(self) -> bool:
        """Whether no further step is needed."""
        return not len(self.tokens)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a sequence came to.

    tokens:        (new tokens,), without the one that ends a sequence
    finish_reason: stop: an end token or a stop string came; length: no more were allowed
    entropy, agreement: means over the steps of what was chosen
    next_tokens:   the likeliest first tokens with their probabilities, as many as were asked for
    """

    tokens: Int64Array
    finish_reason: FinishReason
    entropy: float
    agreement: float
    next_tokens: tuple[tuple[int, float], ...] = ()


class SearchStrategy(Protocol):
    """The state of one sequence's search; begins with one row."""

    def advance(self, scores: StepScores) -> SearchStep:
        """Choose what comes next."""
        ...

    def result(self) -> Decoded:
        """What was found, once `advance` has said that it is done."""
        ...
