"""Tasks whose members write text together, a token at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from streamproc.decoding.model import FloatArray, Int64Array
from streamproc.decoding.prompt import Combine, Outcome, Prompt
from streamproc.decoding.search import StepScores
from streamproc.ensembling.steps import StepStrategy, combine_step
from streamproc.tasks.profile import EnsembleProfile
from streamproc.tasks.task import Job, Task

Architecture = Literal["decoder", "encoder-decoder"]

DecodingJob = Job[Prompt, Outcome]


class DecodingTask(Task):
    """One whose chunks are sequences to decode, many requests' in one running batch."""

    architecture: ClassVar[Architecture]


def combining(
    profile: EnsembleProfile,
    asked: StepStrategy | None,
    ids: Int64Array,
    *,
    goes_on: bool,
) -> Combine:
    """How an ensemble's members are combined at every step; by default as the manifest says.

    ids: (tokens,) the prompt, or the source
    goes_on: whether what is written is more of the same, and tells a gate as much
    Raises Invalid.
    """
    chosen = profile.chosen_step_strategy(asked)
    fixed = profile.weights(chosen, ids)[:, None]
    moves = goes_on and chosen == "gated"

    def combine(logits: FloatArray, answered: Sequence[int], written: Int64Array) -> StepScores:
        weights = fixed
        if moves:
            weights = np.stack(
                [profile.weights(chosen, np.concatenate((ids, row))) for row in written], axis=1
            )
        step = combine_step(chosen, logits, weights[list(answered)])
        return StepScores(step.log_probabilities, step.entropy, step.agreement, step.log_normaliser)

    return combine
