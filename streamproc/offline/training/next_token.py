"""How well a model that writes predicts the next token."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from streamproc.errors import TrainingError
from streamproc.offline.training.labelled_chunks import NO_TARGET
from streamproc.offline.training.training_task import Metrics
from streamproc.types import Float32Array, Int64Array

NOTHING_TO_MEASURE = (
    "The validation records hold nothing to be measured by: none is one that a worker takes and "
    "--window has room for."
)


def score_next_tokens(batches: Iterable[tuple[Float32Array, Int64Array]]) -> Metrics:
    """Loss, perplexity, and how often the most probable token is the right one.

    batches: logits, (rows, tokens, vocabulary), of models that are given the right tokens before
        each, and what was right, (rows, tokens), with NO_TARGET where nothing is asked
    Raises TrainingError when nothing is asked at all.
    """
    loss, hits, count = 0.0, 0, 0
    for logits, targets in batches:
        asked = targets != NO_TARGET
        scores, right = torch.from_numpy(logits[asked]), torch.from_numpy(targets[asked])
        loss += float(nn.functional.cross_entropy(scores.double(), right, reduction="sum"))
        hits += int(np.sum(logits[asked].argmax(axis=-1) == targets[asked]))
        count += len(right)
    if not count:
        raise TrainingError(NOTHING_TO_MEASURE)
    mean = loss / count
    return Metrics(
        mean,
        {"next_token_accuracy": hits / count, "perplexity": _perplexity(mean)},
        selected_by_loss=True,
    )


def _perplexity(loss: float) -> float:
    try:
        return math.exp(loss)
    except OverflowError:  # of a model that has diverged
        return math.inf
