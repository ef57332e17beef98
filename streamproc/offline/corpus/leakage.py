"""Texts that are in more than one split: a score on them tells what was learned by heart."""

from __future__ import annotations

import hashlib
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamproc.offline.corpus.items import RowItem

_EXAMPLES = 5

Digests = NDArray[np.uint64]


def normalised(text: str) -> str:
    """The text without what does not make it another one: width, case, white space.

    NFKC and case folding as Unicode's toNFKC_Casefold has them, runs of white space as one space.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def digests_of(texts: Iterable[str]) -> Digests:
    """(texts,) 64 bits of each normalised text's BLAKE2b.

    Of corpora with 100 million texts, one in 3,000 has two different ones with the same digest.
    """
    written = (normalised(text).encode("utf-8", "surrogatepass") for text in texts)
    return np.frombuffer(
        b"".join(hashlib.blake2b(one, digest_size=8).digest() for one in written), np.uint64
    )


@dataclass(slots=True)
class Leakage:
    """The texts of every split, as digests: 8 bytes a row, and nothing else that grows.

    counts:   rows by split and the first earlier split that has their text
    examples: the first of them, in words
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    _digests: dict[str, array[int]] = field(default_factory=dict)

    def start(self, split: str) -> None:
        """Begin a split: the ones before it are complete."""
        for earlier in self._digests.values():
            # In place: no second copy of the digests.
            np.frombuffer(earlier, dtype=np.uint64).sort()
        self._digests[split] = array("Q")

    def add(self, split: str, items: Sequence[RowItem]) -> None:
        """Note the texts of the split begun last, and which of them earlier ones have."""
        digests = digests_of(item.text for item in items)
        for item, earlier in zip(items, self._earlier(split, digests), strict=True):
            if earlier:
                self.counts[split, earlier] += 1
                if len(self.examples) < _EXAMPLES:
                    self.examples.append(_example(item, earlier))
        self._digests[split].frombytes(digests.tobytes())

    def without_leaked(self, split: str, items: Sequence[RowItem]) -> list[RowItem]:
        """The items whose texts no split before `split` has."""
        found = self._earlier(split, digests_of(item.text for item in items))
        return [item for item, earlier in zip(items, found, strict=True) if not earlier]

    def _earlier(self, split: str, digests: Digests) -> Sequence[str]:
        """For each digest the first split before `split` that has it, or ""."""
        found = [""] * len(digests)
        for earlier, known in self._before(split):
            hits = known.searchsorted(digests, "right") > known.searchsorted(digests, "left")
            found = [
                name or (earlier if hit else "") for name, hit in zip(found, hits, strict=True)
            ]
        return found

    def _before(self, split: str) -> Iterator[tuple[str, Digests]]:
        for earlier, digests in self._digests.items():
            if earlier == split:
                return
            yield earlier, np.frombuffer(digests, dtype=np.uint64)


def _example(item: RowItem, earlier: str) -> str:
    text = item.text if len(item.text) <= 60 else item.text[:59] + "…"
    return f"{item.row.path}, line {item.row.line} (in {earlier} too): {text!r}"
