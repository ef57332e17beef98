"""Whether two ensembles of the same members say the same, by the scores of dummy inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from streamproc.errors import MemberError, ModelRefused, WorkerFault
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.providers import Provider
from streamproc.serving.inference.residency import Residency
from streamproc.serving.loading import load_sessions, load_spec, load_step_models
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.task import ScoringTask
from streamproc.serving.verification.batch_invariance import step_alone_and_together
from streamproc.serving.verification.dummy_inputs import dummy_input, dummy_sequences
from streamproc.serving.verification.limited_calls import limited_calls
from streamproc.types import FloatArray

# Of windows that are tried: lengths that a kernel may treat apart, alone and in a batch.
_TRIED_WORDS = (1, 3, 8, 21, 55, 144)


def largest_difference(
    one: StoredEnsemble, other: StoredEnsemble, provider: Provider
) -> dict[str, float]:
    """By member, how far the scores of one ensemble are from the other's at most.

    One model is in memory at a time. Raises ModelRefused where a model does not load or run.
    """
    found: dict[str, float] = {}
    for member in one.manifest.members:
        found_scores, expected = (
            list(_member_scores(stored, member.name, provider)) for stored in (other, one)
        )
        apart = [float(np.abs(a - b).max()) for a, b in zip(found_scores, expected, strict=True)]
        found[member.name] = max(apart)
    return found


def _member_scores(stored: StoredEnsemble, name: str, provider: Provider) -> Iterator[FloatArray]:
    only = tuple(member for member in stored.manifest.members if member.name == name)
    changes = {"members": only, "quorum": None}
    alone = replace(stored, manifest=stored.manifest.model_copy(update=changes))
    try:
        yield from _scores(alone, provider)
    except (MemberError, WorkerFault) as error:
        raise ModelRefused(f"ensemble {stored.manifest.name}: {error}") from None


def _scores(stored: StoredEnsemble, provider: Provider) -> Iterator[FloatArray]:
    task = task_named(stored.manifest.task)
    spec = load_spec(stored, task)
    if isinstance(task, DecodingTask):
        long, short = dummy_sequences(task, spec)
        with limited_calls(f"ensemble {spec.name}") as new_call:
            (model,) = load_step_models(stored, task, provider, Residency(), new_call)
            yield from step_alone_and_together(model, short, long, new_call)
    elif isinstance(task, ScoringTask):
        members = load_sessions(stored, task, provider)
        (session,) = members.sessions
        windows = [dummy_input(task, spec, words) for words in _TRIED_WORDS]
        with limited_calls(f"ensemble {spec.name}") as new_call:
            for batch in ([windows[0]], windows):
                taken = members.run_backbone(batch, new_call())
                yield from session.run(Batch.pad(taken), new_call())
