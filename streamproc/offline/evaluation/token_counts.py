"""How often each token stands in each member's part of a corpus, as its chunks show it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from streamproc.offline.evaluation.eval_task import JsonObject
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import Task
from streamproc.types import FloatArray


def token_counts(requests: Iterable[JsonObject], task: Task, spec: EnsembleSpec) -> FloatArray:
    """(vocabulary,) over all chunks that the requests are cut into: what a gate will look at."""
    counts = np.zeros(spec.tokenizer.vocabulary_size)
    for request in requests:
        inputs = {name: value for name, value in request.items() if name != "params"}
        for chunk in task.begin(inputs, {}, spec).chunks():
            counts += np.bincount(chunk.ids, minlength=len(counts))
    return counts
