"""The requests of a run, and the ensemble that answers them, as every contender gets them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.errors import ModelRefused, SettingsError
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.chunking.windows import Chunk, windows
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.members import Members
from streamproc.serving.inference.providers import Provider, choose_provider
from streamproc.serving.inference.session import new_call
from streamproc.serving.loading import load_sessions, load_spec
from streamproc.serving.tasks.catalogue import scoring_task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.verification.batch_invariance import check_members
from streamproc.types import FloatArray


class DeviceUnusable(Exception):
    """The device asked for can't run the ensemble; its text says why."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests and their chunks, in the order asked, and the ensemble's members.

    tokenize_s: seconds that cutting all texts into chunks took, one after another
    """

    texts: tuple[str, ...]
    chunks: tuple[tuple[Chunk, ...], ...]
    spec: EnsembleSpec
    members: Members
    tokenize_s: float

    @property
    def tokens(self) -> int:
        """Of all chunks, special tokens included, padding not."""
        return sum(len(chunk) for own in self.chunks for chunk in own)

    def first(self, count: int) -> Workload:
        """The same with only the first requests."""
        return Workload(
            self.texts[:count], self.chunks[:count], self.spec, self.members, self.tokenize_s
        )


def cut(spec: EnsembleSpec, text: str) -> tuple[Chunk, ...]:
    """All windows of a text."""
    tokenizer = spec.tokenizer
    return tuple(windows(tokenizer.stream(text), tokenizer.frame, spec.window, len(text)))


def build_workload(texts: Sequence[str], spec: EnsembleSpec, members: Members) -> Workload:
    """Cut every text, and time it."""
    started_s = time.perf_counter()
    chunks = tuple(cut(spec, text) for text in texts)
    tokenize_s = time.perf_counter() - started_s
    return Workload(tuple(texts), chunks, spec, members, tokenize_s)


def run_rows(members: Members, chunks: Sequence[Chunk]) -> list[FloatArray]:
    """What all members say of a batch: the first one's rows, then the next one's."""
    batch = Batch.pad(members.run_backbone(chunks))
    return [row for session in members.sessions for row in session.run(batch, new_call())]


def load_members(stored: StoredEnsemble, device: str) -> tuple[EnsembleSpec, Members, Provider]:
    """An ensemble's spec, and its members on the device asked for.

    Raises ModelRefused when the ensemble is at fault, DeviceUnusable when the device is.
    """
    task = scoring_task_named(stored.manifest.task)
    spec = load_spec(stored, task)
    # What loads here and not there is the device's fault, not the model's.
    members = load_sessions(stored, task, choose_provider("cpu"))
    if device == "cpu":
        return spec, members, choose_provider("cpu")
    try:
        provider = choose_provider(device)
        members = load_sessions(stored, task, provider)
        check_members(members, task, spec, new_call, invariant=False)
    except (ModelRefused, SettingsError) as reason:
        raise DeviceUnusable(str(reason)) from None
    return spec, members, provider
