"""How well a model that writes foresees the next token."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from streamproc.errors import TrainingError
from streamproc.offline.training.training_task import Metrics
from streamproc.offline.training.windows import NO_TARGET


def judge_next_tokens(
    said: Iterable[tuple[NDArray[np.float32], NDArray[np.int64]]],
) -> Metrics:
    """Loss, perplexity, and how often the most probable token is the right one.

    said: batches of logits, (rows, tokens, vocabulary), and what was right, (rows, tokens), with
        NO_TARGET where nothing is asked
    Raises TrainingError when nothing is asked at all.
    """
    loss, hits, count = 0.0, 0, 0
    for logits, targets in said:
        asked = targets != NO_TARGET
        highest = logits.max(axis=-1, keepdims=True)
        shifted = (logits - highest).astype(np.float64)
        total = np.log(np.exp(shifted).sum(axis=-1))
        meant = np.where(asked, targets, 0)[..., None]
        right = np.take_along_axis(shifted, meant, axis=-1)[..., 0]
        loss += float((total - right)[asked].sum())
        hits += int((logits.argmax(axis=-1) == targets)[asked].sum())
        count += int(asked.sum())
    if not count:
        raise TrainingError("The validation records hold nothing to judge by.")
    mean = loss / count
    return Metrics(
        mean,
        {"next_token_accuracy": hits / count, "perplexity": float(np.exp(mean))},
        decided_by_loss=True,
    )
