"""Texts to tokens, some at a time: what a tokenizer says of a text is far larger than the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenizers import Encoding, Tokenizer

_TEXTS_AT_ONCE = 512
# An encoding takes some 70 bytes a character.
_CHARACTERS_AT_ONCE = 1 << 18


def encoded(
    tokenizer: Tokenizer, texts: Iterable[str], *, specials: bool = False
) -> Iterator[Encoding]:
    """What the tokenizer says of each text, with special tokens or without."""
    for some in _lots(texts):
        yield from tokenizer.encode_batch(some, add_special_tokens=specials)


def _lots(texts: Iterable[str]) -> Iterator[list[str]]:
    lot: list[str] = []
    characters = 0
    for text in texts:
        lot.append(text)
        characters += len(text)
        if len(lot) == _TEXTS_AT_ONCE or characters >= _CHARACTERS_AT_ONCE:
            yield lot
            lot, characters = [], 0
    if lot:
        yield lot
