"""What members say of each token, combined for all chunks that ran together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streamproc.serving.ensembling.measures import agreements, entropies
from streamproc.serving.inference.batch import RanTogether
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.types import FloatArray, Int64Array, Strategy


@dataclass(frozen=True, slots=True)
class TokenOpinions:
    """What members say of tokens, each by itself and all together.

    answered:  numbers of the members that say something
    scores:    (answered, tokens, labels), probabilities
    combined:  (tokens, labels)
    labels:    (tokens,) the likeliest of all together, by number
    agreement: (tokens,) share of the members' weight that chooses the same
    entropy:   (tokens,) in nats
    """

    answered: list[int]
    scores: FloatArray
    combined: FloatArray
    labels: NDArray[np.intp]
    agreement: FloatArray
    entropy: FloatArray

    def part(self, place: slice) -> TokenOpinions:
        """Of some of the tokens."""
        return TokenOpinions(
            self.answered,
            self.scores[:, place],
            self.combined[place],
            self.labels[place],
            self.agreement[place],
            self.entropy[place],
        )


@dataclass(frozen=True, slots=True)
class BatchTokens:
    """The same of all tokens of a batch, special ones left out, a chunk's behind the last one's.

    spec:     held, as whoever looks for this names it by an identity that may else be another's
    begins:   where each chunk's tokens begin, and one more: where all end
    agreeing: (answered, chunks) how many of each member's choices are those of all
    """

    spec: EnsembleSpec
    opinions: TokenOpinions
    begins: list[int]
    agreeing: Int64Array

    @classmethod
    def of(
        cls, together: RanTogether, spec: EnsembleSpec, strategy: Strategy, temperature: float
    ) -> Self:
        """Of chunks that ran together, each behind the special tokens of a single text."""
        head, answered = spec.head, [*together.answered]
        frame, ids = spec.tokenizer.frame, [sequence.ids for sequence in together.sequences]
        first, lengths = len(frame.before), [len(own) - frame.tokens for own in ids]
        begins = np.concatenate(([0], np.cumsum(lengths)))
        logits = [
            spec.members[index].labels.align(
                np.concatenate(
                    [one[first : first + length] for one, length in zip(own, lengths, strict=True)]
                )
            )
            for index, own in zip(answered, together.scores, strict=True)
        ]
        scores = head.scores(np.stack(logits))
        of_chunks = spec.batch_weights(strategy, ids)[answered]
        weights = np.repeat(of_chunks, lengths, axis=1)
        uncalibrated = head.combine(strategy, scores, weights)
        agreeing = head.agreeing(scores, uncalibrated)
        counted = np.zeros((len(answered), len(ids)), np.int64)
        if agreeing is not None:
            sums = np.pad(agreeing.cumsum(axis=1), ((0, 0), (1, 0)))
            counted = sums[:, begins[1:]] - sums[:, begins[:-1]]
        combined = head.calibrated(uncalibrated, temperature)
        labels = combined.argmax(axis=-1)
        opinions = TokenOpinions(
            answered,
            scores,
            combined,
            labels,
            agreements(scores, weights, labels),
            entropies(combined),
        )
        return cls(spec, opinions, begins.tolist(), counted)
