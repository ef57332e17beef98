"""What a model made elsewhere says of random texts: what has to be known before it is adapted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamproc.errors import MemberError, ModelRefused, WorkerFault
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.session import OnnxSession, new_call
from streamproc.serving.inference.signature import Signature
from streamproc.serving.verification.dummy_inputs import DummyInput
from streamproc.serving.verification.limited_calls import TRIAL_CALL_S, limited_calls
from streamproc.serving.verification.scores import alone_and_together
from streamproc.types import Int64Array

# So many texts of lengths from one to the window, and one of each short length: whether a length
# is odd, or a multiple of four, may decide how sums are added up.
_TEXTS, _EACH_LENGTH = 16, 16


@dataclass(frozen=True, slots=True)
class ModelReport:
    """batch_difference: the largest between a text's scores alone and in a batch
    largest_score: whatever its sign
    like_probabilities: whether the scores of every text look like probabilities
    within_unit: whether all of them lie between 0 and 1
    answers_nothing: whether a text without tokens has scores
    """

    batch_difference: float
    largest_score: float
    like_probabilities: bool
    within_unit: bool
    answers_nothing: bool


def report_on_model(
    member: str,
    model: bytes,
    signature: Signature,
    tokenizer: TextTokenizer,
    *,
    window_tokens: int,
    padding_token: int,
    call_s: float = TRIAL_CALL_S,
) -> ModelReport:
    """Score texts of random tokens alone, and all in one batch; raises ModelRefused if it fails.

    window_tokens: of the longest text
    padding_token: what no text holds
    call_s: the longest that a call may take
    """
    session = OnnxSession(member, model, signature, Provider(CPU))
    texts = _texts(tokenizer, window_tokens, padding_token)
    try:
        with limited_calls(f"member {member}", call_s) as new_call:
            pairs = alone_and_together(
                lambda batch: session.run(Batch.pad(batch), new_call()), texts
            )
    except (MemberError, WorkerFault) as error:
        raise ModelRefused(
            f"{member} fails on texts of up to {window_tokens} tokens with ids up to "
            f"{tokenizer.vocabulary_size - 1}, the tokenizer's last. Is the tokenizer the model's, "
            f"and the window within its positions? {error}"
        ) from None
    alone = [scores for scores, _ in pairs]
    difference = max(float(np.abs(one - other).max()) for one, other in pairs)
    probable = all(map(_like_probabilities, alone))
    largest = max(float(np.abs(one).max()) for one in alone)
    empty = _framed(tokenizer, np.empty(0, np.int64))
    answers = len(empty.ids) > 0 and _answers(session, empty)
    within = all(bool(((scores >= 0) & (scores <= 1)).all()) for scores in alone)
    return ModelReport(difference, largest, probable, within, answers)


def _texts(tokenizer: TextTokenizer, longest: int, padding_token: int) -> Sequence[DummyInput]:
    """Of all lengths, the last id of the vocabulary first in each."""
    last = tokenizer.vocabulary_size - 1
    draw = np.random.default_rng(0)
    longest_body = max(1, longest - tokenizer.frame.tokens)
    texts = []
    lengths = {*range(1, _EACH_LENGTH + 1), *np.geomspace(1, longest_body, _TEXTS).astype(int)}
    for length in sorted(length for length in lengths if length <= longest_body):
        ids = draw.integers(0, last + 1, size=length)
        ids[0] = last
        ids[ids == padding_token] = last
        texts.append(_framed(tokenizer, ids))
    return texts


def _framed(tokenizer: TextTokenizer, ids: Int64Array) -> DummyInput:
    frame = tokenizer.frame
    framed = np.concatenate((frame.before, ids, frame.after))
    return DummyInput(framed, np.zeros_like(framed))


def _answers(session: OnnxSession, text: DummyInput) -> bool:
    call: Any = new_call()
    call.log_severity_level = 4  # that it fails is an answer, and nothing to be told of
    try:
        session.run(Batch.pad([text]), call)
    except (MemberError, WorkerFault):
        return False
    return True


def _like_probabilities(scores: NDArray[np.float64]) -> bool:
    """scores: (outputs,) or (tokens, outputs); of one score the first output is 0."""
    within = bool(((scores >= 0) & (scores <= 1)).all())
    sums = scores.sum(axis=-1)
    return within and bool((np.abs(sums - 1) < 1e-3).all() or (scores[..., 0] == 0).all())
