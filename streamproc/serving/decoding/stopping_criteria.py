"""Noticing that a text has come to one of its stop strings."""

from __future__ import annotations

from collections.abc import Sequence

from streamproc.serving.decoding.detokenizing import Decode, Detokenizer, continuation


class StopStrings:
    """Follows a text token by token, and looks no further back than a stop string is long."""

    def __init__(self, strings: Sequence[str], decode: Decode, prompt: Sequence[int]) -> None:
        self._strings = tuple(strings)
        self._decode = decode
        self._prompt = prompt
        self._written: list[int] = []
        self._text = Detokenizer(decode, prompt)
        self._look_back = max(map(len, strings), default=1) - 1
        self._tail = ""

    def reached(self, token: int) -> bool:
        """Whether the text, this token included, has a stop string."""
        if not self._strings:
            return False
        self._written.append(token)
        looked_at = self._tail + self._text.text_of(token)
        self._tail = looked_at[max(0, len(looked_at) - self._look_back) :]
        if not any(string in looked_at for string in self._strings):
            return False
        # Bytes that are no character may spoil, in a tokenizer's eyes, what stands before them.
        text = continuation(self._decode, self._prompt, self._written)
        return any(string in text for string in self._strings)


def cut_before(text: str, strings: Sequence[str]) -> str:
    """The text up to the first stop string in it."""
    found = [place for place in (text.find(string) for string in strings) if place >= 0]
    return text[: min(found)] if found else text
