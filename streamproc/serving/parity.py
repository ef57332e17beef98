"""Whether two ensembles of the same members say the same, by what each member says to trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamproc.errors import MemberError, ModelRefused, WorkerFault
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.providers import Provider
from streamproc.serving.inference.residency import Residency
from streamproc.serving.inference.session import new_call
from streamproc.serving.loading import load_profile, load_sessions, probe
from streamproc.serving.loading_generative import load_step_models, trial_inputs, trial_steps
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.task import ScoringTask

# Of windows that are tried: lengths that a kernel may treat apart, alone and in company.
_TRIED_WORDS = (1, 3, 8, 21, 55, 144)


def largest_difference(
    one: StoredEnsemble, other: StoredEnsemble, provider: Provider
) -> dict[str, float]:
    """By member, how far the scores of one ensemble are from the other's at most.

    One model is in memory at a time. Raises ModelRefused where a model does not load or run.
    """
    found: dict[str, float] = {}
    for member in one.manifest.members:
        said, meant = (list(_said(stored, member.name, provider)) for stored in (other, one))
        apart = [float(np.abs(a - b).max()) for a, b in zip(said, meant, strict=True)]
        found[member.name] = max(apart)
    return found


def _said(stored: StoredEnsemble, name: str, provider: Provider) -> Iterator[NDArray[Any]]:
    only = tuple(member for member in stored.manifest.members if member.name == name)
    changes = {"members": only, "quorum": None}
    alone = replace(stored, manifest=stored.manifest.model_copy(update=changes))
    try:
        yield from _answers(alone, provider)
    except (MemberError, WorkerFault) as error:
        raise ModelRefused(f"ensemble {stored.manifest.name}: {error}") from None


def _answers(stored: StoredEnsemble, provider: Provider) -> Iterator[NDArray[Any]]:
    task = task_named(stored.manifest.task)
    profile = load_profile(stored, task)
    if isinstance(task, DecodingTask):
        (model,) = load_step_models(stored, task, provider, Residency())
        long, short = trial_inputs(task, profile)
        yield from trial_steps(model, short, long)
    elif isinstance(task, ScoringTask):
        members = load_sessions(stored, task, provider)
        (session,) = members.sessions
        windows = [probe(task, profile, words) for words in _TRIED_WORDS]
        for batch in ([windows[0]], windows):
            yield from session.run(Batch.pad(members.read(batch)), new_call())
