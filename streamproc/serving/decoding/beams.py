"""Beam search, step for step that of transformers 4.57 (`GenerationMixin._beam_search`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from streamproc.serving.decoding.logits_processors import LogitsProcessors
from streamproc.serving.decoding.search import Decoded, FinishReason, SearchStep, StepScores
from streamproc.types import FloatArray, Int64Array

EarlyStopping = Literal[True, False, "never"]

_NOTHING = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class BeamOptions:
    """How wide to search, and when to stop.

    max_new_tokens: written at most, the end token included; at least 1
    end_tokens:     any of them ends a sequence
    length_penalty: a finished sequence's score is divided by its length to this power
    early_stopping: True stops once there are as many finished sequences as beams; False once no
        running one is likely to become better, "never" once none can
    """

    beams: int
    max_new_tokens: int
    end_tokens: tuple[int, ...]
    length_penalty: float = 1.0
    early_stopping: EarlyStopping = False


@dataclass(frozen=True, slots=True)
class _Beam:
    """A sequence so far: what was written, the sum of its log-probabilities, and of each step's
    entropy and agreement."""

    tokens: Int64Array
    score: float
    entropy: float
    agreement: float


@dataclass(frozen=True, slots=True)
class _Finished:
    """A sequence at its end; score is the one with the length penalty."""

    beam: _Beam
    score: float
    reason: FinishReason


class BeamSearch:
    """The beams of one sequence; a `Search`. Ties go to the beam before, then the lower token."""

    def __init__(
        self,
        options: BeamOptions,
        prompt: Int64Array,
        processors: LogitsProcessors | None = None,
    ) -> None:
        """prompt: (tokens,), what the decoder has read before it writes: its start token"""
        self._options = options
        self._processors = processors or LogitsProcessors()
        self._prompt = prompt
        self._written = 0
        self._running = [_Beam(_NOTHING, 0.0, 0.0, 0.0)]
        self._finished: list[_Finished] = []

    def advance(self, scores: StepScores) -> SearchStep:
        options = self._options
        is_last = self._written + 1 >= options.max_new_tokens
        allowed = self._processors(
            scores.log_probabilities,
            [np.concatenate((self._prompt, beam.tokens)) for beam in self._running],
            is_last=is_last,
        )
        totals = allowed + np.array([[beam.score] for beam in self._running])
        # So many that as many beams as wanted go on even if every end token is among them.
        candidates = _largest(totals, max(2, 1 + len(options.end_tokens)) * options.beams)
        parents: list[int] = []
        going_on: list[_Beam] = []
        for rank, (parent, token) in enumerate(candidates):
            beam = self._longer(parent, token, float(totals[parent, token]), scores)
            if is_last or token in options.end_tokens:
                # transformers finishes only what is among the best, the rest is a reserve.
                if rank < options.beams:
                    self._finish(beam, token, scores.log_probabilities[parent])
            elif len(going_on) < options.beams:
                parents.append(parent)
                going_on.append(beam)
        self._written += 1
        # Python's sort is stable: of equals, the one that was finished first stays first.
        self._finished = sorted(self._finished, key=lambda found: -found.score)[: options.beams]
        if not going_on or not self._is_worth_going_on(going_on[0]):
            self._running = going_on or self._running
            return SearchStep(_NOTHING, _NOTHING)
        self._running = going_on
        tokens = [beam.tokens[-1] for beam in going_on]
        return SearchStep(np.array(parents, np.int64), np.array(tokens, np.int64))

    def result(self) -> Decoded:
        if self._finished:
            beam, reason = self._finished[0].beam, self._finished[0].reason
        else:
            # Only where every token is forbidden before one could end a sequence.
            beam, reason = self._running[0], "length"
        tokens, steps = beam.tokens, max(1, len(beam.tokens))
        if len(tokens) and tokens[-1] in self._options.end_tokens:
            tokens = tokens[:-1]
        return Decoded(tokens, reason, beam.entropy / steps, beam.agreement / steps)

    def _longer(self, parent: int, token: int, score: float, scores: StepScores) -> _Beam:
        before = self._running[parent]
        return _Beam(
            np.append(before.tokens, token),
            score,
            before.entropy + float(scores.entropy[parent]),
            before.agreement + float(scores.agreement[parent]),
        )

    def _finish(self, beam: _Beam, token: int, scores: FloatArray) -> None:
        """scores: (vocabulary,), what the members said before constraints"""
        is_last = len(beam.tokens) >= self._options.max_new_tokens
        forced = self._processors.forces_end(token, is_last=is_last)
        # An end that was forced on a sequence which was not at its end is a cut.
        ended = token in self._options.end_tokens and not (forced and int(scores.argmax()) != token)
        self._finished.append(
            _Finished(
                beam,
                self._penalised(beam.score, len(beam.tokens)),
                "stop" if ended else "length",
            )
        )

    def _penalised(self, score: float, length: int) -> float:
        return float(score / length**self._options.length_penalty)

    def _is_worth_going_on(self, best: _Beam) -> bool:
        """Whether the best running beam may still beat the worst of the finished ones."""
        if len(self._finished) < self._options.beams:
            return True
        options = self._options
        if options.early_stopping is True:
            return False
        # With a penalty above 0 it is the longest sequence whose score could still be best.
        longest = options.early_stopping == "never" and options.length_penalty > 0
        length = options.max_new_tokens if longest else len(best.tokens)
        return self._penalised(best.score, length) > self._finished[-1].score


def _largest(totals: FloatArray, count: int) -> list[tuple[int, int]]:
    """Row and column of the largest finite entries, largest first; of equals, the first ones."""
    flat = totals.ravel()
    if len(flat) > count:
        least = np.partition(flat, len(flat) - count)[len(flat) - count]
        indices = np.flatnonzero(flat >= least)
    else:
        indices = np.arange(len(flat))
    indices = indices[np.isfinite(flat[indices])]
    chosen = indices[np.argsort(-flat[indices], kind="stable")][:count]
    rows, columns = np.divmod(chosen, totals.shape[1])
    return list(zip(rows.tolist(), columns.tolist(), strict=True))
