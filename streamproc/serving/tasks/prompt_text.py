"""A text as the prompt of a decoder: its tokens, and the room behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from streamproc.errors import Invalid
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.types import Int64Array

Truncate = Literal["start", "end"]


@dataclass(frozen=True, slots=True)
class PromptText:
    """What is left of a text once it leaves room.

    ids: (tokens,) special tokens included
    start, end: characters of the text that the ids are of
    """

    ids: Int64Array
    start: int
    end: int
    max_new_tokens: int = 0

    @classmethod
    def read(
        cls,
        text: str,
        spec: EnsembleSpec,
        max_new_tokens: int | None,
        truncate: Truncate | None,
    ) -> PromptText:
        """The text's tokens, cut at one end where `truncate` allows it; never more in memory.

        max_new_tokens: None: as many as the manifest says, or as few as there is room for
        Raises Invalid when the prompt is too long, or empty where a model needs a beginning.
        """
        tokenizer, decoding = spec.tokenizer, spec.decodes
        frame = tokenizer.frame
        # With nothing asked for, one new token is enough to answer a long prompt.
        wanted = max_new_tokens or (decoding.max_new_tokens if truncate else 1)
        wanted = wanted if max_new_tokens else min(wanted, decoding.max_tokens // 2)
        prompt_tokens = decoding.max_tokens - wanted - frame.tokens
        if prompt_tokens < 1:
            raise Invalid(
                "invalid request",
                f"params.max_new_tokens: {wanted} new tokens leave none for a prompt: the model "
                f"takes {decoding.max_tokens} tokens together",
            )
        ids, offsets, tokens = np.empty(0, np.int64), np.empty((0, 2), np.int64), 0
        for part in tokenizer.stream(text):
            tokens += len(part)
            kept = slice(-prompt_tokens, None) if truncate == "start" else slice(prompt_tokens)
            ids = np.concatenate((ids, part.ids))[kept]
            offsets = np.concatenate((offsets, part.offsets))[kept]
            if truncate == "end" and tokens > prompt_tokens:
                break
        if tokens > prompt_tokens and truncate is None:
            raise Invalid(
                "prompt too long",
                f"text: {tokens + frame.tokens} tokens and {wanted} new ones; the model takes "
                f"{decoding.max_tokens} together; shorten it, or let params.truncate say which end "
                "to cut: start or end",
            )
        framed = np.concatenate((frame.before, ids, frame.after))
        if not len(framed):
            framed = _beginning(decoding.start_token)
        left = decoding.max_tokens - len(framed)
        new = decoding.max_new_tokens
        if decoding.max_length is not None:
            new = max(1, decoding.max_length - len(framed))
        return cls(
            framed,
            int(offsets[0, 0]) if tokens > prompt_tokens and truncate == "start" else 0,
            int(offsets[-1, 1]) if tokens > prompt_tokens and truncate == "end" else len(text),
            max_new_tokens or min(new, left),
        )


def _beginning(start_token: int | None) -> Int64Array:
    if start_token is None:
        raise Invalid(
            "empty prompt",
            "text: must not be empty: this ensemble has no start token",
        )
    return np.array([start_token], np.int64)
