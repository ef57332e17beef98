"""From an ensemble on disk to one that answers, tried out before it is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from streamproc.errors import Invalid, MemberError, ModelRefused, WorkerFault
from streamproc.messages.lane import Lane
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.batching.batcher import Batcher
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Chunk, Window
from streamproc.serving.context import EngineContext
from streamproc.serving.engine import Engine
from streamproc.serving.ensembling.labels import LabelMap
from streamproc.serving.gate_table import read_gate
from streamproc.serving.inference.batch import Batch, MemberOutput, ModelInput
from streamproc.serving.inference.fan_out import FanOut
from streamproc.serving.inference.members import Members
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.residency import Residency
from streamproc.serving.inference.session import OnnxSession, PrefixSession, new_call
from streamproc.serving.loading_generative import load_decoding_engine
from streamproc.serving.member_failures import counting_losses
from streamproc.serving.member_files import model_of
from streamproc.serving.member_health import MemberHealth
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec, MemberProfile
from streamproc.serving.tasks.task import ScoringTask, Task
from streamproc.types import Int64Array

# Of the largest score, or of 1: far above what differs between kernels in float32, far below what
# dynamic quantisation does (0.01).
_MAX_BATCH_DIFFERENCE = 1e-4

Outputs = tuple[MemberOutput, ...]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Probe:
    ids: Int64Array
    type_ids: Int64Array


def load_profile(stored: StoredEnsemble, task: Task) -> EnsembleSpec:
    """What the manifest says, its tokenizer read; raises ModelRefused."""
    manifest = stored.manifest
    if manifest.task != task.name:
        raise ModelRefused(f"ensemble {manifest.name} is for {manifest.task}, not {task.name}")
    if task.labelled != bool(manifest.labels):
        wanted = "at least two labels" if task.labelled else "no labels"
        raise ModelRefused(
            f"ensemble {manifest.name}: {task.name} wants {wanted}; found {list(manifest.labels)}"
        )
    if manifest.combine.strategy not in task.strategies:
        raise ModelRefused(
            f"ensemble {manifest.name}: members of {task.name} are combined by "
            f"{', '.join(task.strategies)}; found {manifest.combine.strategy}"
        )
    tokenizer = TextTokenizer(stored.tokenizer())
    return EnsembleSpec(
        name=manifest.name,
        digest=stored.digest,
        labels=manifest.labels,
        members=tuple(
            MemberProfile(
                member.name,
                member.version,
                member.weight,
                LabelMap.between(member.name, member.labels, manifest.labels)
                if task.labelled
                else LabelMap.none(),
            )
            for member in manifest.members
        ),
        strategy=manifest.combine.strategy,
        needed_members=manifest.needed_members,
        tokenizer=tokenizer,
        window=Window(manifest.window.max_tokens, manifest.window.overlap_tokens),
        decoding=manifest.decoding,
        gate=read_gate(stored, tokenizer.vocabulary_size),
        temperature=manifest.combine.temperature,
    )


def load_sessions(
    stored: StoredEnsemble,
    task: ScoringTask,
    provider: Provider,
    residency: Residency | None = None,
) -> Members:
    """A session for each member, and for what runs before them; raises ModelRefused.

    residency: which stages are loaded, of members in stages; None: all
    """
    residency = residency or Residency()
    section = stored.manifest.prefix
    prefix = PrefixSession(stored.prefix(section), provider) if section else None
    sessions = []
    for member in stored.manifest.members:
        signature = task.signature(len(member.labels))
        if prefix:
            signature = signature.behind_prefix(prefix.width)
        model = model_of(stored, member, residency)
        sessions.append(OnnxSession(member.name, model, signature, provider))
    return Members(sessions, prefix)


def load_engine(
    stored: StoredEnsemble, task: Task, provider: Provider, surroundings: EngineContext
) -> Engine:
    """The ensemble, loaded and tried out; raises ModelRefused saying what does not fit."""
    profile = load_profile(stored, task)
    if isinstance(task, DecodingTask):
        return load_decoding_engine(stored, task, profile, provider, surroundings)
    if not isinstance(task, ScoringTask):
        raise ModelRefused(f"ensemble {profile.name}: {task.name} has no way to run its members")
    members = load_sessions(stored, task, provider, surroundings.residency)
    try_out(members, task, profile, invariant=provider.name == CPU)
    return assemble_engine(task, profile, members, surroundings)


def assemble_engine(
    task: ScoringTask, profile: EnsembleSpec, members: Members, surroundings: EngineContext
) -> Engine:
    """An engine of a profile and the sessions of its members, in the profile's order."""
    (canary,) = members.read([_sample_chunk(task, profile, words=1)])
    metrics = surroundings.metrics
    names = [session.name for session in members.sessions]
    health = MemberHealth(profile.name, names, profile.needed_members, surroundings.clock)
    fan_out = FanOut(
        members,
        surroundings.executor,
        call_timeout_s=surroundings.call_timeout_s,
        canary=canary,
        lost=counting_losses(metrics, profile.name, names),
        health=health,
    )
    tokens = metrics.tokens.labels(profile.name, "content")
    padded = metrics.tokens.labels(profile.name, "padded")
    batches, chunks = metrics.batches.labels(profile.name), metrics.chunks.labels(profile.name)

    async def run(batch: Sequence[Chunk], lane: Lane) -> Sequence[Outputs]:
        batches.inc()
        chunks.inc(len(batch))
        tokens.inc(sum(map(len, batch)))
        padded.inc(len(batch) * max(map(len, batch)))
        return await fan_out.run(batch, int(lane))

    batcher: Batcher[Chunk, Outputs] = Batcher(run, surroundings.limits, surroundings.clock)
    metrics.queued_tokens.labels(profile.name).set_function(lambda: batcher.queued_tokens)
    return Engine(
        task,
        profile,
        batcher,
        surroundings.max_document_chunks,
        health,
        alone_tokens=surroundings.limits.budget_tokens,
    )


def try_out(members: Members, task: ScoringTask, profile: EnsembleSpec, *, invariant: bool) -> None:
    """Run members on the longest window, and on the highest token id, alone and in a batch.

    invariant: also refuse a model whose scores for a text depend on its neighbours in the batch
    Raises ModelRefused.
    """
    long = probe(task, profile, words=profile.window.max_tokens)
    short = probe(task, profile, words=1)
    blamed = "prefix"
    try:
        alone, together = members.read([short]), members.read([long, short])
        for session in members.sessions:
            blamed = f"member {session.name}"
            one = session.run(Batch.pad(alone), new_call())[0]
            other = session.run(Batch.pad(together), new_call())[1]
            difference = float(np.abs(one - other).max())
            if invariant and difference > _MAX_BATCH_DIFFERENCE * np.abs(one).max(initial=1.0):
                raise ModelRefused(
                    f"{blamed} gives the same text other scores in another batch (by "
                    f"{difference:.2g}): dynamic quantisation does that; quantise statically"
                )
            log.debug("member warmed up", member=session.name, batch_difference=difference)
    except (MemberError, WorkerFault) as error:
        raise ModelRefused(
            f"{blamed} fails on a window of {profile.window.max_tokens} tokens with "
            f"ids up to {profile.tokenizer.vocabulary_size - 1}, the tokenizer's last; do its "
            f"vocabulary and positions fit the manifest's tokenizer and window? {error}"
        ) from None


def probe(task: ScoringTask, profile: EnsembleSpec, words: int) -> ModelInput:
    """A window of so many short words at most, its tokens spread over the whole vocabulary."""
    chunk = _sample_chunk(task, profile, words)
    # The text's tokens spread over the whole vocabulary, its last id included; the task's special
    # tokens and token types stay.
    ids, text = chunk.ids.copy(), chunk.offsets[:, 1] > 0
    ids[text] = np.linspace(profile.tokenizer.vocabulary_size - 1, 0, int(text.sum()))
    return _Probe(ids, chunk.type_ids)


def _sample_chunk(task: ScoringTask, profile: EnsembleSpec, words: int) -> Chunk:
    """The first window of a text of so many short words, as the task itself makes it."""
    try:
        chunk: Chunk = next(task.begin(task.sample(words), {}, profile).chunks())
    except Invalid as reason:
        raise ModelRefused(
            f"ensemble {profile.name}: its windows are too short for {task.name}: {reason.detail}"
        ) from None
    return chunk
