"""Which language a model of many translates from, and which it writes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from streamproc.errors import Invalid
from streamproc.serving.chunking.tokens import Frame, TextTokenizer
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.types import Int64Array


def language_token(spec: EnsembleSpec, code: str, field: str) -> int:
    """The token of a language; field: where the code was named. Raises Invalid."""
    languages = spec.tokenizer.languages
    if code in languages:
        return languages[code]
    some = ", ".join(sorted(languages)[:5])
    known = f"it has {len(languages)}, such as {some}" if languages else "it has none"
    raise Invalid(
        "invalid request",
        f"{field}: {code!r} is not a language of ensemble {spec.name}; {known}",
    )


def source_frame(spec: EnsembleSpec, code: str | None, field: str) -> Frame:
    """The special tokens around a source of that language; None: as the tokenizer has them.

    Raises Invalid where the language is unknown, or has no place among them.
    """
    frame = spec.tokenizer.frame
    if code is None:
        return frame
    token = language_token(spec, code, field)
    before, after = (
        _replaced(spec.tokenizer, tokens, token) for tokens in (frame.before, frame.after)
    )
    if token not in before and token not in after:
        raise Invalid(
            "invalid request",
            f"{field}: ensemble {spec.name} has no source language to set",
        )
    return replace(frame, before=before, after=after)


def first_token(spec: EnsembleSpec, code: str | None) -> int | None:
    """What a translation into a language begins with; None: as the manifest says.

    Raises Invalid where the language is unknown, or none is named and the model has many.
    """
    decoding = spec.decodes
    target = code or decoding.target_language
    if target is not None:
        return language_token(spec, target, "params.target_language")
    languages = spec.tokenizer.languages
    named = {decoding.forced_begin_token, decoding.start_token}
    if len(languages) > 1 and named.isdisjoint(languages.values()):
        raise Invalid(
            "invalid request",
            f"params.target_language: ensemble {spec.name} writes {len(languages)} languages, "
            f"such as {', '.join(sorted(languages)[:5])}; say which",
        )
    return decoding.forced_begin_token


def _replaced(tokenizer: TextTokenizer, tokens: Int64Array, token: int) -> Int64Array:
    """The tokens with `token` in place of each that stands for a language."""
    return np.where(np.isin(tokens, list(tokenizer.languages.values())), token, tokens)
