"""Texts to tokens, some at a time: what a tokenizer says of a text is far larger than the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from tokenizers import Encoding, Tokenizer

_AT_ONCE = 512


def encoded(
    tokenizer: Tokenizer, texts: Iterable[str], *, specials: bool = False
) -> Iterator[Encoding]:
    """What the tokenizer says of each text, with special tokens or without."""
    waiting = iter(texts)
    while some := list(islice(waiting, _AT_ONCE)):
        found: list[Any] = tokenizer.encode_batch(some, add_special_tokens=specials)
        yield from found
