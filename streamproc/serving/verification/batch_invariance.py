"""Whether members run on the longest input and the last token id, and say the same in any batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import structlog

from streamproc.errors import Invalid, MemberError, ModelRefused, StreamprocError, WorkerFault
from streamproc.serving.decoding.model import AnyStepModel
from streamproc.serving.guarded_calls import Call
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.members import Members
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.languages import language_token, source_frame
from streamproc.serving.tasks.task import ScoringTask
from streamproc.serving.verification.dummy_inputs import dummy_input, dummy_sequences
from streamproc.types import FloatArray, Int64Array

# Of the largest score, or of 1: far above what differs between kernels, or by the order of
# additions, in float32; far below what padding or dynamic quantisation (0.01) does.
MAX_BATCH_DIFFERENCE = 1e-4

NewCall = Callable[[], Call]
"""Makes what a model's call is handed, and is told by to end early."""

log = structlog.get_logger(__name__)


def check_members(
    members: Members,
    task: ScoringTask,
    spec: EnsembleSpec,
    new_call: NewCall,
    *,
    invariant: bool,
) -> None:
    """Run members on the longest window, and on the highest token id, alone and in a batch.

    new_call: makes a call, of which there is one at a time
    invariant: also refuse a model whose scores for a text depend on its neighbours in the batch
    Raises ModelRefused.
    """
    long = dummy_input(task, spec, words=spec.window.max_tokens)
    short = dummy_input(task, spec, words=1)
    blamed = "prefix"
    try:
        alone = members.run_backbone([short], new_call())
        together = members.run_backbone([long, short], new_call())
        for session in members.sessions:
            blamed = f"member {session.name}"
            one = session.run(Batch.pad(alone), new_call())[0]
            other = session.run(Batch.pad(together), new_call())[1]
            difference = float(np.abs(one - other).max())
            if invariant and difference > MAX_BATCH_DIFFERENCE * np.abs(one).max(initial=1.0):
                raise ModelRefused(
                    f"{blamed} gives the same text other scores in another batch (by "
                    f"{difference:.2g}): dynamic quantisation does that; quantise statically"
                )
            log.debug("member warmed up", member=session.name, batch_difference=difference)
    except (MemberError, WorkerFault) as error:
        raise ModelRefused(
            f"{blamed} fails on a window of {spec.window.max_tokens} tokens with "
            f"ids up to {spec.tokenizer.vocabulary_size - 1}, the tokenizer's last; do its "
            f"vocabulary and positions fit the manifest's tokenizer and window? {error}"
        ) from None


def check_step_models(
    models: Sequence[AnyStepModel],
    task: DecodingTask,
    spec: EnsembleSpec,
    new_call: NewCall,
    *,
    invariant: bool,
) -> None:
    """Try each member that writes out, and whether all score the tokens that the manifest names.

    new_call, invariant: as `check_step_model` has it
    Raises ModelRefused.
    """
    sizes = {
        model.name: check_step_model(model, task, spec, new_call, invariant=invariant)
        for model in models
    }
    if len(set(sizes.values())) > 1:
        raise ModelRefused(
            f"ensemble {spec.name}: its members must share a vocabulary; they have "
            + ", ".join(f"{size} tokens ({name})" for name, size in sizes.items())
        )
    _refuse_unknown_tokens(spec, max(sizes.values()))
    _refuse_unknown_languages(spec)


def check_step_model(
    model: AnyStepModel,
    task: DecodingTask,
    spec: EnsembleSpec,
    new_call: NewCall,
    *,
    invariant: bool,
) -> int:
    """Start and step a member, alone and beside another sequence; returns its vocabulary's size.

    new_call: makes a call, of which there is one at a time
    invariant: also refuse a model whose scores depend on what it is stepped beside
    Raises ModelRefused.
    """
    long, short = dummy_sequences(task, spec)
    try:
        logits, alone, together = step_alone_and_together(model, short, long, new_call)
    except StreamprocError as error:
        raise ModelRefused(
            f"member {model.name} fails on {len(long)} tokens with ids up to "
            f"{spec.tokenizer.vocabulary_size - 1}, the tokenizer's last; do its vocabulary and "
            f"positions fit the manifest's tokenizer and lengths? {error}"
        ) from None
    if len(logits) < spec.tokenizer.vocabulary_size:
        raise ModelRefused(
            f"member {model.name} scores {len(logits)} tokens; the manifest's tokenizer has "
            f"{spec.tokenizer.vocabulary_size}"
        )
    if invariant and not np.array_equal(alone, together):
        raise ModelRefused(
            f"member {model.name} gives a sequence other scores when another is decoded beside it "
            f"(by {np.abs(alone - together).max():.2g}): dynamic quantisation does that: quantise "
            "statically, or weights alone; so does an export without position_ids of a model that "
            "needs them"
        )
    log.debug("member warmed up", member=model.name, vocabulary=len(logits))
    return len(logits)


def step_alone_and_together(
    model: AnyStepModel, short: Int64Array, long: Int64Array, new_call: NewCall
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


def _refuse_unknown_tokens(spec: EnsembleSpec, vocabulary: int) -> None:
    unknown = sorted(token for token in spec.decodes.named_tokens if token >= vocabulary)
    if unknown:
        raise ModelRefused(
            f"ensemble {spec.name}: decoding names the tokens "
            f"{', '.join(map(str, unknown[:5]))}; its members have {vocabulary} tokens"
        )


def _refuse_unknown_languages(spec: EnsembleSpec) -> None:
    decoding = spec.decodes
    try:
        source_frame(spec, decoding.source_language, "decoding.source_language")
        if decoding.target_language is not None:
            language_token(spec, decoding.target_language, "decoding.target_language")
    except Invalid as error:
        raise ModelRefused(error.detail) from None
