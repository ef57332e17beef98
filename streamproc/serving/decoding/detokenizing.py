"""From tokens to text while they come: a token's text where it stands, and characters in pieces.

A character may be several tokens; until the last of them has come its text is "�". A byte-fallback
decoder, as Llama's, goes further: it writes a whole run of bytes as "�" while its last character is
not there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]
"""Token ids to text."""

INCOMPLETE = "\ufffd"
# Enough for a tokenizer to write the next token as it would after all of them.
CONTEXT_TOKENS = 8
# Where no place to begin at comes for so long, no text is to be had of what is looked at.
_MOST_TOKENS = 8 * CONTEXT_TOKENS
# What a character takes at most in UTF-8, and so in tokens of bytes, beside its first.
_MORE_BYTES = 3


def whole_characters(decode: Decode, tokens: Sequence[int]) -> str:
    """The text of tokens without a character at its end that is not whole."""
    text = decode(tokens)
    if not text.endswith(INCOMPLETE):
        return text
    shorter = (
        decode(tokens[: len(tokens) - cut]) for cut in range(1, min(_MORE_BYTES, len(tokens)) + 1)
    )
    complete = [one for one in shorter if not one.endswith(INCOMPLETE)]
    return max((text.rstrip(INCOMPLETE), *complete), key=len)


def continuation(decode: Decode, before: Sequence[int], tokens: Sequence[int]) -> str:
    """The text of tokens where they stand: a tokenizer writes the first of a text otherwise.

    As the decoder has it, but for a run of bytes that it would write as nothing but "�" because the
    last character is not whole: there only that one is. A character that `before` has begun belongs
    to the tokens that end it.
    """
    everything = [*before, *tokens]
    text, whole = decode(everything), whole_characters(decode, everything)
    if len(whole) > len(text.rstrip(INCOMPLETE)):
        text = whole + INCOMPLETE
    begun = decode(before)
    if not text.startswith(begun):
        begun = whole_characters(decode, before)
    return text[len(begun) :]


class Detokenizer:
    """Hands out the text of tokens one by one, looking at few of those before."""

    def __init__(self, decode: Decode, prompt: Sequence[int]) -> None:
        self._decode = decode
        self._tokens = end_of(decode, prompt)
        self._done = len(whole_characters(decode, self._tokens))
        # How many of the tokens make whole characters, at each place where that is so.
        self._whole: list[int] = []

    def text_of(self, token: int) -> str:
        """The characters that are whole with this token, and were not before."""
        self._tokens.append(token)
        text = self._decode(self._tokens)
        settled = text.rstrip(INCOMPLETE)
        new = settled[self._done :]
        self._done = max(self._done, len(settled))
        if len(settled) == len(text):
            self._whole.append(len(self._tokens))
        self._forget()
        return new

    def _forget(self) -> None:
        """Begin later, at a whole character, once there are twice as many tokens as needed."""
        count = len(self._tokens)
        if count < 2 * CONTEXT_TOKENS:
            return
        early = [place for place in self._whole if place <= count - CONTEXT_TOKENS]
        if not early and count < _MOST_TOKENS:
            return
        first = early[-1] if early else count - CONTEXT_TOKENS
        self._tokens = self._tokens[first:]
        self._whole = [place - first for place in self._whole if place > first]
        self._done = len(whole_characters(self._decode, self._tokens))


def end_of(decode: Decode, prompt: Sequence[int]) -> list[int]:
    """The last tokens of a prompt, from the beginning of a character on."""
    first = max(0, len(prompt) - CONTEXT_TOKENS)
    ends = [list(prompt[place:]) for place in range(first, max(-1, first - _MORE_BYTES - 1), -1)]
    return max(ends, key=lambda end: len(whole_characters(decode, end).replace(INCOMPLETE, "")))
