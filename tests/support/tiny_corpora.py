"""Corpora that can be learned in seconds: a word tells the label, the tag, or the translation."""

from __future__ import annotations

import json
import random
from pathlib import Path

GOOD = ("good", "great", "fine", "lovely")
BAD = ("bad", "awful", "poor", "dull")
NEUTRAL = ("the", "film", "phone", "was", "a", "very", "really", "it", "and", "story")


def sentences(path: Path, count: int, seed: int) -> Path:
    """Words of GOOD are persons, words of BAD things; one record in three is longer than 20."""
    draw = random.Random(seed)
    lines = []
    for number in range(count):
        words = draw.choices(NEUTRAL, k=draw.randint(2, 30 if number % 3 == 0 else 8))
        tags = ["O"] * len(words)
        for names, kind in ((GOOD, "person"), (BAD, "thing")):
            place = draw.randrange(len(words))
            words.insert(place, draw.choice(names))
            tags.insert(place, f"B-{kind}")
        lines.append(json.dumps({"tokens": words, "tags": tags}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


WORDS = {
    "the": "das",
    "film": "Filmchen",
    "good": "gut",
    "bad": "schlecht",
    "it": "es",
    "was": "war",
}


def pairs(path: Path, count: int, seed: int) -> Path:
    """Word by word, so that there is a little to learn."""
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        words = draw.choices(list(WORDS), k=draw.randint(1, 5))
        target = " ".join(WORDS[word] for word in words)
        lines.append(json.dumps({"src": " ".join(words), "tgt": target}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
