"""From an ensemble whose members write text, on disk, to one that answers; tried out first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import structlog

from streamproc.errors import Invalid, ModelRefused, StreamprocError
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.context import EngineContext
from streamproc.serving.decoding.decoding_metrics import DecodingMetrics
from streamproc.serving.decoding.loop import DecodingLoop
from streamproc.serving.decoding.member import Member
from streamproc.serving.decoding.model import StepModel
from streamproc.serving.engine import Engine
from streamproc.serving.inference.causal import CausalModel
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.residency import Residency
from streamproc.serving.inference.seq2seq import Seq2SeqModel
from streamproc.serving.inference.session import new_call
from streamproc.serving.member_failures import counting_losses
from streamproc.serving.member_files import model_of
from streamproc.serving.member_health import MemberHealth
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.languages import language_token, source_frame
from streamproc.types import FloatArray, Int64Array

# Beyond this a trial would take longer than what it might find is worth.
_LONGEST_TRIAL_TOKENS = 512
# An encoder-decoder steps only rows of one length together. Measured over 3 + 3 layers of 256 with
# 16 sentences in the works: 2.5 times fewer calls than when each joins as it comes, and what comes
# new waits for eight steps at most, some ten milliseconds.
_JOIN_EVERY = 8

log = structlog.get_logger(__name__)


def load_decoding_engine(
    stored: StoredEnsemble,
    task: DecodingTask,
    profile: EnsembleSpec,
    provider: Provider,
    surroundings: EngineContext,
) -> Engine:
    """The ensemble, loaded and tried out; raises ModelRefused saying what does not fit."""
    models = load_step_models(stored, task, provider, surroundings.residency)
    sizes = {
        model.name: try_out_steps(model, task, profile, invariant=provider.name == CPU)
        for model in models
    }
    if len(set(sizes.values())) > 1:
        raise ModelRefused(
            f"ensemble {profile.name}: its members must share a vocabulary; they score "
            + ", ".join(f"{size} tokens ({name})" for name, size in sizes.items())
        )
    _refuse_unknown_tokens(profile, max(sizes.values()))
    _refuse_unknown_languages(profile)
    return assemble_decoding_engine(task, profile, models, surroundings)


def load_step_models(
    stored: StoredEnsemble, task: DecodingTask, provider: Provider, residency: Residency
) -> list[StepModel[Any]]:
    """Each member as something to step, in the manifest's order; raises ModelRefused."""
    name, decoding = stored.manifest.name, stored.manifest.decoding
    if decoding is None:
        raise ModelRefused(f"ensemble {name}: the manifest needs a section [decoding]")
    models: list[CausalModel | Seq2SeqModel] = []
    for member in stored.manifest.members:
        if task.architecture == "decoder":
            whole_or_staged = model_of(stored, member, residency)
            models.append(CausalModel(member.name, whole_or_staged, provider))
            continue
        if decoding.start_token is None:
            raise ModelRefused(
                f"ensemble {name}: the manifest needs decoding.start_token, what an "
                f"{task.architecture}'s decoder begins with"
            )
        encoder, decoder = stored.model(member), stored.decoder(member)
        models.append(Seq2SeqModel(member.name, encoder, decoder, decoding.start_token, provider))
    for model in models:
        model.try_longest(decoding.max_tokens)
    return list(models)


def assemble_decoding_engine(
    task: DecodingTask,
    profile: EnsembleSpec,
    models: Sequence[StepModel[Any]],
    surroundings: EngineContext,
) -> Engine:
    """An engine of a profile and the models of its members, in the profile's order."""
    _ = profile.step_strategy, profile.decodes
    metrics = surroundings.metrics
    names = [model.name for model in models]
    lost = counting_losses(metrics, profile.name, names)
    health = MemberHealth(profile.name, names, profile.needed_members, surroundings.clock)
    members = [
        Member(
            model,
            surroundings.executor.run,
            call_timeout_s=surroundings.call_timeout_s,
            canary=_probe(profile, 4),
            new_call=new_call,
            lost=lost,
            health=health,
        )
        for model in models
    ]
    loop = DecodingLoop(
        members,
        surroundings.room,
        surroundings.clock,
        DecodingMetrics(metrics, profile.name),
        join_every=1 if task.architecture == "decoder" else _JOIN_EVERY,
    )
    waiting = metrics.queued_tokens.labels(profile.name)
    waiting.set_function(lambda: loop.queued_tokens)
    return Engine(
        task,
        profile,
        loop,
        surroundings.max_document_chunks,
        health,
        alone_tokens=surroundings.room.max_tokens,
    )


def _refuse_unknown_tokens(profile: EnsembleSpec, vocabulary: int) -> None:
    unknown = sorted(token for token in profile.decodes.named_tokens if token >= vocabulary)
    if unknown:
        raise ModelRefused(
            f"ensemble {profile.name}: decoding names the tokens "
            f"{', '.join(map(str, unknown[:5]))}; its members score {vocabulary} tokens, from 0 on"
        )


def _refuse_unknown_languages(profile: EnsembleSpec) -> None:
    decoding = profile.decodes
    try:
        source_frame(profile, decoding.source_language, "decoding.source_language")
        if decoding.target_language is not None:
            language_token(profile, decoding.target_language, "decoding.target_language")
    except Invalid as error:
        raise ModelRefused(error.detail) from None


def try_out_steps(
    model: StepModel[Any], task: DecodingTask, profile: EnsembleSpec, *, invariant: bool
) -> int:
    """Start and step a member, alone and beside another sequence; returns its vocabulary's size.

    invariant: also refuse a model whose scores depend on what it is stepped beside
    Raises ModelRefused.
    """
    long, short = trial_inputs(task, profile)
    try:
        logits, alone, together = trial_steps(model, short, long)
    except StreamprocError as error:
        raise ModelRefused(
            f"member {model.name} fails on {len(long)} tokens with ids up to "
            f"{profile.tokenizer.vocabulary_size - 1}, the tokenizer's last; do its vocabulary and "
            f"positions fit the manifest's tokenizer and lengths? {error}"
        ) from None
    if len(logits) < profile.tokenizer.vocabulary_size:
        raise ModelRefused(
            f"member {model.name} scores {len(logits)} tokens; the manifest's tokenizer has "
            f"{profile.tokenizer.vocabulary_size}"
        )
    if invariant and not np.array_equal(alone, together):
        raise ModelRefused(
            f"member {model.name} scores a sequence otherwise when another is stepped beside it "
            f"(by {np.abs(alone - together).max():.2g}): dynamic quantisation does that: quantise "
            "statically, or weights alone; so does an export without position_ids of a model that "
            "needs them"
        )
    log.debug("member warmed up", member=model.name, vocabulary=len(logits))
    return len(logits)


def trial_steps(
    model: StepModel[Any], short: Int64Array, long: Int64Array
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """First logits of `short`, and those of two further steps: alone, and beside `long`."""
    logits, rows = model.start(short, new_call())
    _, beside = model.start(long, new_call())
    both = model.join([beside, rows])
    alone, together = [], []
    for token in (short[0], short[-1]):
        scores, rows = model.step(rows, np.array([token]), new_call())
        alone.append(scores[0])
        scores, both = model.step(both, np.array([long[0], token]), new_call())
        together.append(scores[1])
    return logits, np.stack(alone), np.stack(together)


def trial_inputs(task: DecodingTask, profile: EnsembleSpec) -> tuple[Int64Array, Int64Array]:
    """A long input, the longest there may be unless that takes long, and a short one."""
    longest = profile.window.max_tokens
    if task.architecture == "decoder":
        longest = profile.decodes.max_tokens - 2
    return _probe(profile, min(longest, _LONGEST_TRIAL_TOKENS)), _probe(profile, 5)


def _probe(profile: EnsembleSpec, tokens: int) -> Int64Array:
    """An input of so many tokens, spread over the whole vocabulary, its last id included."""
    frame = profile.tokenizer.frame
    room = max(1, tokens - frame.tokens)
    body = np.linspace(profile.tokenizer.vocabulary_size - 1, 0, room).astype(np.int64)
    return np.concatenate((frame.before, body, frame.after))
