"""How many texts a model gets right, whole texts and not windows, whatever runs the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from streamproc.training.examples import Batch, Example, batches, windows

Scores = NDArray[np.float64]
RunBatch = Callable[[Batch], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class WindowSize:
    """How long texts are cut when they are scored; the manifest's `[window]`."""

    max_tokens: int = 256
    overlap_tokens: int = 32


def softmax(logits: NDArray[np.floating]) -> Scores:
    """Probabilities of logits, over the last axis."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def score(
    run: RunBatch, examples: Sequence[Example], tokenizer: Tokenizer, size: WindowSize, labels: int
) -> Scores:
    """Probabilities of each example: the token-weighted mean over its windows.

    run:     answers a batch with logits, (windows, labels)
    returns: (examples, labels), rows sum to 1
    """
    cut = windows(examples, tokenizer, size.max_tokens, size.overlap_tokens)
    total = np.zeros((len(examples), labels))
    tokens = np.zeros(len(examples))
    for batch in batches(cut, 32, tokenizer.token_to_id("[PAD]")):
        # An empty text weighs something too, or it would have no probabilities at all.
        weight = np.maximum(batch.attention_mask.sum(axis=1) - 2, 1)
        np.add.at(total, batch.examples, weight[:, None] * softmax(run(batch)))
        np.add.at(tokens, batch.examples, weight)
    return np.asarray(total / tokens[:, None])


def accuracy(scores: Scores, examples: Sequence[Example]) -> float:
    """The share of examples whose most probable label is the right one."""
    right = scores.argmax(axis=1) == np.array([example.label for example in examples])
    return float(right.mean())


def log_loss(scores: Scores, examples: Sequence[Example]) -> float:
    """Mean negative logarithm of the right label's probability, in nats."""
    right = scores[np.arange(len(examples)), [example.label for example in examples]]
    return float(-np.log(np.clip(right, 1e-12, None)).mean())
