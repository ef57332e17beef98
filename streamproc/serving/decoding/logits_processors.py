"""What a sequence may not write next, or less or more likely, whatever the members say.

The rules and their order are those of transformers 4.57 (`GenerationMixin._get_logits_processor`).
They change what the members say together, once it is combined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from streamproc.serving.decoding.bans import BannedSequences, repeating
from streamproc.types import FloatArray, Int64Array

_NOTHING = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitsRules:
    """Settings; in brackets what transformers calls them, where that is something else.

    repetition_penalty:    above 1 what was read or written becomes less likely
    encoder_repetition_penalty: above 1 what is in the source becomes more likely
    no_repeat_ngram_size:  no run of so many tokens is written twice; 0: no such rule
    encoder_no_repeat_ngram_size: nor one that is in the source
    banned:                never written (bad_words_ids)
    min_length, min_new_tokens: no end before so many tokens, with and without the prompt
    forced_begin_token:    written first, where there is one token of a prompt (forced_bos_token_id)
    forced_end_token:      written as the last token that is allowed (forced_eos_token_id)
    length_decay:          from so many new tokens on, by what factor an end becomes likelier with
        each (exponential_decay_length_penalty)
    suppressed_tokens, begin_suppressed_tokens: never written, or not first (suppress_tokens,
        begin_suppress_tokens)
    renormalise:           make probabilities of what is left (renormalize_logits)
    """

    repetition_penalty: float = 1.0
    encoder_repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    encoder_no_repeat_ngram_size: int = 0
    banned: BannedSequences = field(default_factory=BannedSequences)
    min_length: int = 0
    min_new_tokens: int = 0
    forced_begin_token: int | None = None
    forced_end_token: int | None = None
    length_decay: tuple[int, float] | None = None
    suppressed_tokens: tuple[int, ...] = ()
    begin_suppressed_tokens: tuple[int, ...] = ()
    renormalise: bool = False


class LogitsProcessors:
    """The rules for one sequence."""

    def __init__(
        self,
        rules: LogitsRules | None = None,
        *,
        prompt_tokens: int = 0,
        end_tokens: Sequence[int] = (),
        source: Int64Array = _NOTHING,
    ) -> None:
        """prompt_tokens: how many a decoder has read before it writes

        source: (tokens,) what an encoder has read, special tokens included; of a decoder the prompt
        """
        self._rules = rules or LogitsRules()
        self._prompt_tokens = prompt_tokens
        self._end_tokens = list(end_tokens)
        self._source = source

    def __call__(
        self, scores: FloatArray, histories: Sequence[Int64Array], *, is_last: bool
    ) -> FloatArray:
        """The scores as the rules change them; minus infinity at what may not come next.

        scores:    (rows, vocabulary): log-probabilities in a beam search, else logits
        histories: for each row what it has read and written, of one length; a decoder's prompt, or
            its start token, included
        is_last:   whether no token may follow the next
        """
        rules = self._rules
        changed = scores.copy()
        for row, history in zip(changed, histories, strict=True):
            self._by_content(row, history)
        length = len(histories[0])
        written = length - self._prompt_tokens
        if length < rules.min_length or written < rules.min_new_tokens:
            changed[:, self._end_tokens] = -np.inf
        if rules.forced_begin_token is not None and length == 1:
            _force(changed, rules.forced_begin_token)
        if rules.forced_end_token is not None and is_last:
            _force(changed, rules.forced_end_token)
        self._by_length(changed, length)
        return _renormalised(changed) if rules.renormalise else changed

    def forces_end(self, token: int, *, is_last: bool) -> bool:
        """Whether a token is written because a sequence has to end here."""
        return is_last and token == self._rules.forced_end_token

    def _by_content(self, row: FloatArray, history: Int64Array) -> None:
        """What depends on which tokens came before; changes the row, (vocabulary,)."""
        rules = self._rules
        if rules.encoder_repetition_penalty != 1.0:
            penalise(row, self._source, 1 / rules.encoder_repetition_penalty)
        if rules.repetition_penalty != 1.0:
            penalise(row, history, rules.repetition_penalty)
        row[repeating(history, history, rules.no_repeat_ngram_size)] = -np.inf
        row[repeating(self._source, history, rules.encoder_no_repeat_ngram_size)] = -np.inf
        row[rules.banned.after(history, self._end_tokens)] = -np.inf

    def _by_length(self, scores: FloatArray, length: int) -> None:
        """What depends on how many tokens came before, but for the shortest a text may be."""
        rules = self._rules
        if rules.length_decay is not None:
            start, factor = rules.length_decay
            beyond = length - self._prompt_tokens - start
            ends = scores[:, self._end_tokens]
            if beyond > 0:
                more = np.where(np.isfinite(ends), np.abs(ends) * (factor**beyond - 1), 0.0)
                scores[:, self._end_tokens] = ends + more
        scores[:, list(rules.suppressed_tokens)] = -np.inf
        forces = rules.forced_begin_token is not None and self._prompt_tokens == 1
        if length == self._prompt_tokens + forces:
            scores[:, list(rules.begin_suppressed_tokens)] = -np.inf


def penalise(row: FloatArray, tokens: Int64Array, penalty: float) -> None:
    """Divide these tokens' positive scores, multiply their negative ones; row: (vocabulary,).

    Source: Keskar et al. 2019, CTRL, and transformers' RepetitionPenaltyLogitsProcessor.
    """
    seen = np.unique(tokens)
    before = row[seen]
    row[seen] = np.where(before < 0, before * penalty, before / penalty)


def _force(scores: FloatArray, token: int) -> None:
    """Zero, as transformers has it: a forced token costs a sequence nothing."""
    scores[:] = -np.inf
    scores[:, token] = 0.0


def _renormalised(scores: FloatArray) -> FloatArray:
    highest = scores.max(axis=-1, keepdims=True)
    if not np.isfinite(highest).all():
        # Everything is forbidden to a row; there is nothing to make probabilities of.
        return scores
    shifted = scores - highest
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
