"""Inputs of our own making: of all lengths, their tokens spread over the whole vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamproc.errors import Invalid, ModelRefused
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.decoding.prompt import Prompt
from streamproc.serving.inference.batch import ModelInput
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import ScoringTask
from streamproc.types import Int64Array

# Beyond this a try would take longer than what it might find is worth.
_LONGEST_SEQUENCE = 512


@dataclass(frozen=True, slots=True)
class DummyInput:
    """ids, type_ids: (tokens,) int64"""

    ids: Int64Array
    type_ids: Int64Array


def dummy_window(task: ScoringTask, spec: EnsembleSpec, words: int) -> Chunk:
    """The first window of a text of so many short words, as the task itself makes it.

    Raises ModelRefused where no window is long enough for the task.
    """
    try:
        chunk: Chunk = next(task.begin(task.sample(words), {}, spec).chunks())
    except Invalid as reason:
        raise ModelRefused(
            f"ensemble {spec.name}: its windows are too short for {task.name}: {reason.detail}"
        ) from None
    return chunk


def dummy_input(task: ScoringTask, spec: EnsembleSpec, words: int) -> ModelInput:
    """Such a window whose tokens are spread over the whole vocabulary, its last id included.

    The task's special tokens and token types stay.
    """
    chunk = dummy_window(task, spec, words)
    ids, text = chunk.ids.copy(), chunk.offsets[:, 1] > 0
    ids[text] = np.linspace(spec.tokenizer.vocabulary_size - 1, 0, int(text.sum()))
    return DummyInput(ids, chunk.type_ids)


def dummy_sequence(spec: EnsembleSpec, tokens: int) -> Int64Array:
    """A prompt or source of so many tokens, spread over the whole vocabulary."""
    frame = spec.tokenizer.frame
    body_tokens = max(1, tokens - frame.tokens)
    body = np.linspace(spec.tokenizer.vocabulary_size - 1, 0, body_tokens).astype(np.int64)
    return np.concatenate((frame.before, body, frame.after))


def canary_sequence(task: DecodingTask, spec: EnsembleSpec) -> Int64Array:
    """The prompt or source of the task's own canary; one of our making where it has none."""
    try:
        prompt: Prompt = next(task.canary(spec).chunks())
    except Invalid:
        return dummy_sequence(spec, 4)
    return prompt.ids


def dummy_sequences(task: DecodingTask, spec: EnsembleSpec) -> tuple[Int64Array, Int64Array]:
    """A long input, the longest there may be unless that takes long, and a short one."""
    longest = spec.window.max_tokens
    if task.architecture == "decoder":
        longest = spec.decodes.max_tokens - 2
    return dummy_sequence(spec, min(longest, _LONGEST_SEQUENCE)), dummy_sequence(spec, 5)
