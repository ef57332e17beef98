"""Tasks whose members write text together, a token at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from streamproc.decoding.model import FloatArray
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


def combining(profile: EnsembleProfile, strategy: StepStrategy | None) -> Combine:
    """How an ensemble's members are combined at every step; by default as the manifest says."""
    chosen = strategy or profile.step_strategy
    weights = np.array([member.weight for member in profile.members])

    def combine(logits: FloatArray, answered: Sequence[int]) -> StepScores:
        step = combine_step(chosen, logits, weights[list(answered)])
        return StepScores(step.log_probabilities, step.entropy, step.agreement, step.log_normaliser)

    return combine
