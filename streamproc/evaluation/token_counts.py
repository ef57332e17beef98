"""How often each token stands in each member's part of a corpus, as its chunks show it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from streamproc.evaluation.exam import Request
from streamproc.evaluation.measures import FloatArray
from streamproc.tasks.profile import EnsembleProfile
from streamproc.tasks.task import Task


def token_counts(requests: Iterable[Request], task: Task, profile: EnsembleProfile) -> FloatArray:
    """(vocabulary,) over all chunks that the requests are cut into: what a gate will look at."""
    counts = np.zeros(profile.tokenizer.vocabulary_size)
    for request in requests:
        inputs = {name: value for name, value in request.items() if name != "params"}
        for chunk in task.begin(inputs, {}, profile).chunks():
            counts += np.bincount(chunk.ids, minlength=len(counts))
    return counts
