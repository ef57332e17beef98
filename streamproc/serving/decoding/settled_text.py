"""A text that is shown while it is written: as far as nothing that comes can change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamproc.serving.decoding.detokenizing import (
    CONTEXT_TOKENS,
    INCOMPLETE,
    Decode,
    continuation,
    end_of,
)


class SettledText:
    """Follows a text token by token, and hands out what is settled: whole characters, which no
    later token changes, and which no stop string that may yet come takes back.

    All that it hands out is a beginning of `continuation`, cut before the first stop string.
    """

    def __init__(
        self,
        decode: Decode,
        ends_bytes: Callable[[int], bool],
        prompt: Sequence[int],
        stop: Sequence[str] = (),
    ) -> None:
        """ends_bytes: whether a token settles the text up to its end (`TextTokenizer`)"""
        self._decode = decode
        self._ends_bytes = ends_bytes
        self._stop = tuple(stop)
        first = len(prompt) - len(end_of(decode, prompt))
        while first and not ends_bytes(prompt[first - 1]):
            first -= 1
        self._context = list(prompt[first:])
        # Places in the context that it may begin at, as a token boundary is one of characters.
        self._boundaries = [0]
        self._tokens: list[int] = []
        self._handed_out = 0
        self._held = ""

    def add(self, token: int) -> str:
        """What is settled with this token, and was not before; the text has no stop string yet."""
        self._tokens.append(token)
        if not self._ends_bytes(token):
            return ""
        text = continuation(self._decode, self._context, self._tokens)
        whole = text.rstrip(INCOMPLETE)
        settled = self._held + whole[self._handed_out :]
        if len(whole) == len(text):
            self._go_on_from_here()
        else:
            self._handed_out = max(self._handed_out, len(whole))
        kept = len(settled) - self._begun_stop_string(settled)
        self._held = settled[kept:]
        return settled[:kept]

    def _go_on_from_here(self) -> None:
        """Look no further back than needed: what is settled is only read as context."""
        read = [*self._context, *self._tokens]
        self._boundaries.append(len(read))
        first = max((at for at in self._boundaries if at <= len(read) - CONTEXT_TOKENS), default=0)
        self._context = read[first:]
        self._boundaries = [at - first for at in self._boundaries if at >= first]
        self._tokens, self._handed_out = [], 0

    def _begun_stop_string(self, text: str) -> int:
        """How many characters at the end of a text may be the beginning of a stop string."""
        longest = max(map(len, self._stop), default=1) - 1
        lengths = range(min(longest, len(text)), 0, -1)
        ends = (length for length in lengths if self._stop_begins(text[-length:]))
        return next(ends, 0)

    def _stop_begins(self, end: str) -> bool:
        return any(string.startswith(end) for string in self._stop)
