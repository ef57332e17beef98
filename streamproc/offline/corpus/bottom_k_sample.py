"""A sample of bounded size of a corpus of any size: the texts with the smallest keys."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sortedcontainers import SortedDict

# What is kept of a text, and what the features of a cluster see of it.
SAMPLED_CHARACTERS = 2000


class BottomKSample:
    """The `size` texts with the smallest keys, each key once, whatever order they come in."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._texts: SortedDict = SortedDict()

    def offer(self, key: float, text: str) -> None:
        """Keep a text, cut to what a sample needs, if it is among the smallest so far."""
        full = len(self._texts) >= self._size
        if full and key > self._texts.peekitem()[0]:
            return
        text = text[:SAMPLED_CHARACTERS]
        self._texts[key] = min(text, self._texts.get(key, text))
        if len(self._texts) > self._size:
            self._texts.popitem()

    def texts(self) -> Sequence[str]:
        """The texts in the order of their keys."""
        return tuple(self._texts.values())


def hash_rank(text: str, seed: int) -> int:
    """A text's rank in a random sample: 64 bits, the same for the same text and seed."""
    salt = seed.to_bytes(8, "big")
    content = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8, salt=salt).digest(), "big")
