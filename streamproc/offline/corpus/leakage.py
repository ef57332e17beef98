"""Texts that are in more than one split: a score on them tells what was learned by heart."""

from __future__ import annotations

import hashlib
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamproc.offline.corpus.items import RowItem

_SHOWN = 5

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
    return np.array(
        [
            int.from_bytes(hashlib.blake2b(_bytes(text), digest_size=8).digest(), "big")
            for text in texts
        ],
        dtype=np.uint64,
    )


@dataclass(frozen=True, slots=True)
class Leak:
    """A text that an earlier split has too."""

    split: str
    earlier: str
    item: RowItem

    def __str__(self) -> str:
        row = self.item.row
        text = self.item.text if len(self.item.text) <= 60 else self.item.text[:59] + "…"
        return f"{row.path}, line {row.line} (in {self.earlier} too): {text!r}"


@dataclass(slots=True)
class Leakage:
    """The texts of every split, as digests: 8 bytes a row, and nothing else that grows.

    counts: rows by split and the first earlier split that has their text
    shown:  the first of them
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    shown: list[Leak] = field(default_factory=list)
    _texts: dict[str, array[int]] = field(default_factory=dict)
    _sorted: dict[str, Digests] = field(default_factory=dict)

    def start(self, split: str) -> None:
        """Begin a split: the ones before it are complete."""
        for earlier, texts in self._texts.items():
            if earlier not in self._sorted:
                # In place: no second copy of the digests.
                digests = np.frombuffer(texts, dtype=np.uint64)
                digests.sort()
                self._sorted[earlier] = digests
        self._texts[split] = array("Q")

    def add(self, split: str, items: Sequence[RowItem]) -> None:
        """Note the texts of the split begun last, and which of them earlier ones have."""
        digests = digests_of(item.text for item in items)
        for item, earlier in zip(items, self._earlier(split, digests), strict=True):
            if earlier:
                self.counts[split, earlier] += 1
                if len(self.shown) < _SHOWN:
                    self.shown.append(Leak(split, earlier, item))
        self._texts[split].frombytes(digests.tobytes())

    def leaked(self, split: str, items: Sequence[RowItem]) -> Sequence[bool]:
        """For each item whether a split before `split` has its text."""
        return [bool(s) for s in self._earlier(split, digests_of(item.text for item in items))]

    def _earlier(self, split: str, digests: Digests) -> Sequence[str]:
        found = [""] * len(digests)
        for earlier in self._texts:
            if earlier == split:
                break
            known = self._sorted[earlier]
            places = np.searchsorted(known, digests)
            places[places == len(known)] = 0
            hits = known[places] == digests if len(known) else np.zeros(len(digests), dtype=bool)
            found = [
                name or (earlier if hit else "") for name, hit in zip(found, hits, strict=True)
            ]
        return found


def _bytes(text: str) -> bytes:
    return normalised(text).encode("utf-8", "surrogatepass")
