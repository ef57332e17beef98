"""Texts as blocks that are as long as a model that writes can read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from streamproc.errors import OperatorError
from streamproc.serving.chunking.tokens import TextTokenizer, Tokens
from streamproc.serving.chunking.windows import cuts
from streamproc.types import Int64Array


def token_blocks(
    texts: Iterable[str],
    tokenizer: TextTokenizer,
    end: int,
    context: int,
    error: type[OperatorError],
) -> Iterator[tuple[Int64Array, int]]:
    """Blocks of `context` tokens: all texts one after another, the token `end` before each.

    What is left over at the end and fills no block is left out.
    returns: (context,) of each, and the number of the text that it begins in
    Raises `error` when nothing fills one.
    """
    stream = _numbered(texts, tokenizer, end)
    nothing = Tokens(np.empty(0, np.int64), np.empty((0, 2), np.int64))
    for cut in cuts(stream, nothing, context, overlap=0, characters=0):
        if len(cut.tokens) == context:
            yield cut.tokens.ids, int(cut.tokens.offsets[0, 0])
        elif not cut.index:
            raise error(f"{len(cut.tokens)} tokens do not fill a context of {context}.")


def _numbered(texts: Iterable[str], tokenizer: TextTokenizer, end: int) -> Iterator[Tokens]:
    """The tokens of all texts; the offsets are the number of each one's text."""
    for number, text in enumerate(texts):
        for ids in (np.array([end]), *(tokens.ids for tokens in tokenizer.stream(text))):
            yield Tokens(ids, np.full((len(ids), 2), number))
