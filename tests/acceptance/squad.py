"""Exact match and F1 of answers, as SQuAD's official evaluation script (v2.0) reckons them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(answer: str) -> list[str]:
    """An answer's words in lower case, without ASCII punctuation and English articles."""
    return _ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split()


def exact_match(answer: str, right: str) -> float:
    """1 where both say the same, else 0."""
    return float(normalised(answer) == normalised(right))


def f1(answer: str, right: str) -> float:
    """Harmonic mean of precision and recall over words; 0 or 1 where either has none."""
    said, meant = normalised(answer), normalised(right)
    if not said or not meant:
        return float(said == meant)
    shared = sum((Counter(said) & Counter(meant)).values())
    return 2 * shared / (len(said) + len(meant))


def best_of(measure: Callable[[str, str], float], answer: str, right_ones: Sequence[str]) -> float:
    """Against the right answer that it is closest to."""
    return max(measure(answer, right) for right in right_ones)
