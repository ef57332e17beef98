"""Tasks whose members write text together, a token at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, TypeVar

import numpy as np

from streamproc.repository.decoding_section import DecodingSection
from streamproc.serving.decoding.bans import BannedSequences
from streamproc.serving.decoding.logits_processors import LogitsRules
from streamproc.serving.decoding.prompt import Combine, Evidence, Outcome, Prompt
from streamproc.serving.decoding.sampling import Odds
from streamproc.serving.decoding.search import StepScores
from streamproc.serving.ensembling.gate import Gate
from streamproc.serving.ensembling.steps import StepStrategy, combine_step
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import Job, Task
from streamproc.types import FloatArray, Int64Array, JsonObject

Architecture = Literal["decoder", "encoder-decoder"]

DecodingJob = Job[Prompt, Outcome]


class DecodingTask(Task):
    """One whose chunks are sequences to decode, many requests' in one running batch.

    text_field: of its results, the text that parts of an answer come to
    """

    text_field: ClassVar[str]
    architecture: ClassVar[Architecture]
    cheapest: ClassVar[JsonObject] = {"max_new_tokens": 1}


class StepCombiner:
    """How an ensemble's members are combined at every step; equal ones combine alike."""

    def __init__(self, spec: EnsembleSpec, strategy: StepStrategy, gate: Gate | None) -> None:
        """gate: what makes weights of a growing text's closeness; None: evidence is weights"""
        self._spec, self._strategy, self._gate = spec, strategy, gate
        self._weights = np.array([[member.weight] for member in spec.members])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StepCombiner) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[int, StepStrategy, bool]:
        return id(self._spec), self._strategy, self._gate is None

    def __call__(
        self, logits: FloatArray, evidence: FloatArray, answered: Sequence[int]
    ) -> StepScores:
        weights = evidence
        if self._gate is not None:
            weights = self._weights * self._gate.shares(np.ascontiguousarray(evidence.T)).T
        step = combine_step(self._strategy, logits, weights[list(answered)])
        if len(answered) > 1:
            self._spec.note_choices(answered, step.agreeing)
        return StepScores(step.log_probabilities, step.entropy, step.agreement, step.log_normaliser)


def step_combination(
    spec: EnsembleSpec,
    asked: StepStrategy | None,
    ids: Int64Array,
    *,
    goes_on: bool,
) -> tuple[Evidence, Combine]:
    """What tells how much say members have at every step, and how they are combined by it.

    asked: as the request says, instead of the manifest
    ids: (tokens,) the prompt, or the source
    goes_on: whether what is written is one row, more of the same, and tells a gate as much
    Raises Invalid.
    """
    strategy = spec.chosen_step_strategy(asked)
    if goes_on and strategy == "gated" and spec.gate is not None:
        closeness = spec.gate.closeness_after(ids)
        return lambda written: closeness.of(written[0])[:, None], StepCombiner(
            spec, strategy, spec.gate
        )
    weights = spec.weights(strategy, ids)[:, None]
    return lambda written: np.repeat(weights, len(written), axis=1), StepCombiner(
        spec, strategy, None
    )


T = TypeVar("T")


def chosen(asked: T | None, otherwise: T) -> T:
    """What a request asks for, else what the manifest says."""
    return otherwise if asked is None else asked


def logits_rules(
    decoding: DecodingSection,
    *,
    repetition_penalty: float | None,
    no_repeat_ngram_size: int | None,
    min_new_tokens: int | None,
    forced_begin_token: int | None,
) -> LogitsRules:
    """The manifest's rules, and what a request asks for instead of them."""
    return LogitsRules(
        repetition_penalty=chosen(repetition_penalty, decoding.repetition_penalty),
        encoder_repetition_penalty=decoding.encoder_repetition_penalty,
        no_repeat_ngram_size=chosen(no_repeat_ngram_size, decoding.no_repeat_ngram_size),
        encoder_no_repeat_ngram_size=decoding.encoder_no_repeat_ngram_size,
        banned=BannedSequences(
            (*((token,) for token in decoding.banned_tokens), *decoding.banned_sequences)
        ),
        # As in transformers, a least number of new tokens takes precedence over that of all tokens.
        min_length=decoding.min_length if min_new_tokens is None else 0,
        min_new_tokens=chosen(min_new_tokens, decoding.min_new_tokens),
        forced_begin_token=forced_begin_token,
        forced_end_token=decoding.forced_end_token,
        length_decay=decoding.length_decay,
        suppressed_tokens=decoding.suppressed_tokens,
        begin_suppressed_tokens=decoding.begin_suppressed_tokens,
        renormalise=decoding.renormalise,
    )


def odds(
    decoding: DecodingSection,
    *,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Odds:
    """What lots are drawn by: as the manifest says, and what a request asks for instead."""
    return Odds(
        temperature=chosen(temperature, decoding.temperature),
        top_k=chosen(top_k, decoding.top_k),
        top_p=chosen(top_p, decoding.top_p),
        min_p=decoding.min_p,
        typical_p=decoding.typical_p,
        epsilon_cutoff=decoding.epsilon_cutoff,
        eta_cutoff=decoding.eta_cutoff,
    )
