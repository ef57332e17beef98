"""Noticing that a text has come to one of its stop strings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]
"""Token ids to text."""

# Enough for a tokenizer to write the next token as it would after all of them.
_CONTEXT_TOKENS = 8
# What a character takes at most in UTF-8, and so in tokens of bytes.
_CHARACTER_BYTES = 4
_INCOMPLETE = "\ufffd"


class StopStrings:
    """Follows a text token by token, and looks no further back than a stop string is long."""

    def __init__(self, strings: Sequence[str], decode: Decode, prompt: Sequence[int]) -> None:
        self._strings = tuple(strings)
        self._decode = decode
        self._tokens = list(prompt[-_CONTEXT_TOKENS:])
        self._written = decode(self._tokens)
        self._pending = 0
        self._look_back = max(map(len, strings), default=1) - 1
        self._tail = ""

    def reached(self, token: int) -> bool:
        """Whether the text, this token included, has a stop string."""
        if not self._strings:
            return False
        self._tokens.append(token)
        self._pending += 1
        looked_at = self._tail + self._decode(self._tokens)[len(self._written) :]
        # A character that several tokens make up is no text before the last of them has come.
        whole = looked_at.rstrip(_INCOMPLETE)
        if len(whole) == len(looked_at) or self._pending == _CHARACTER_BYTES:
            whole = looked_at
            self._tail = looked_at[max(0, len(looked_at) - self._look_back) :]
            self._tokens = self._tokens[-_CONTEXT_TOKENS:]
            self._written, self._pending = self._decode(self._tokens), 0
        return any(string in whole for string in self._strings)


def cut_before(text: str, strings: Sequence[str]) -> str:
    """The text up to the first stop string in it."""
    found = [place for place in (text.find(string) for string in strings) if place >= 0]
    return text[: min(found)] if found else text
