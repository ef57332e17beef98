"""Exact match and F1 of answers, as SQuAD's official evaluation script (v2.0) reckons them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(answer: str) -> str:
    """An answer in lower case, without ASCII punctuation, English articles and double spaces."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, right: str) -> float:
    """1 where both say the same, else 0."""
    return float(normalised(answer) == normalised(right))


def f1(answer: str, right: str) -> float:
    """Harmonic mean of precision and recall over words; 0 or 1 where either has none."""
    said, meant = normalised(answer).split(), normalised(right).split()
    if not said or not meant:
        return float(said == meant)
    shared = sum((Counter(said) & Counter(meant)).values())
    return 2 * shared / (len(said) + len(meant))


def best_of(metric: Callable[[str, str], float], answer: str, right_ones: Sequence[str]) -> float:
    """Against the right answer that it is closest to; without any, no answer is right.

    As in SQuAD's script, one of which nothing is left ("the", "–") is none, unless all are such.
    """
    told = [right for right in right_ones if normalised(right)]
    return max(metric(answer, right) for right in told or [""])
