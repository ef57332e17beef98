"""From labels of tokens to entities, token by token, as transformers 4.57.6 aggregates them.

`TokenClassificationPipeline` there: `aggregate`, `aggregate_word`, `group_entities`, `get_tag`.
What differs: `word` is the text itself, `text[start:end]`, not the tokenizer's spelling; and tokens
come run by run, of which nothing is kept but the word and the entity that may go on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from streamproc.types import BoolArray, EntityAggregation, FloatArray, Int64Array, JsonObject

Aggregation = Literal["none", EntityAggregation]
WORD_AGGREGATIONS: frozenset[Aggregation] = frozenset(("first", "average", "max"))
Entity = JsonObject


@dataclass(frozen=True, slots=True)
class TokenRun:
    """Tokens that follow each other in a text, special ones left out, and what they may be.

    probabilities: (tokens, labels) float64
    offsets: (tokens, 2) int64, characters of the text
    continues: (tokens,) whether a token continues the word before it; empty where no one asks
    index: of the first token in the text, the special ones that lead it counted
    """

    probabilities: FloatArray
    offsets: Int64Array
    continues: Sequence[bool]
    index: int

    def part(self, which: slice) -> TokenRun:
        """The tokens from `which.start` to `which.stop`."""
        return TokenRun(
            self.probabilities[which],
            self.offsets[which],
            self.continues[which],
            self.index + which.start,
        )


class Tagging:
    """The labels of an ensemble, read as tags: "B-PER" begins a PER, "I-PER" and "PER" go on."""

    def __init__(self, labels: Sequence[str], ignored: Collection[str]) -> None:
        """ignored: labels, or names of entity groups, that are no entities."""
        self.labels = tuple(labels)
        self.begins = [label.startswith("B-") for label in labels]
        self.tags = [label[2:] if label.startswith(("B-", "I-")) else label for label in labels]
        # Not the tag: what stands before a hyphen falls away, whatever it is ("E-PER").
        self.groups = [label.split("-", 1)[-1] for label in labels]
        self._label_ignored = np.array([label in ignored for label in labels], np.bool_)
        self._group_ignored = np.array([group in ignored for group in self.groups], np.bool_)

    def ignored(self, aggregation: Aggregation) -> BoolArray:
        """(labels,) which labels an answer leaves out."""
        return self._label_ignored if aggregation == "none" else self._group_ignored


@dataclass(slots=True)
class _Word:
    """Tokens of one word.

    label, top: of one of them the likeliest label, and its score
    scores: (labels,), that token's, or summed over all
    """

    label: int
    top: float
    scores: FloatArray
    start: int
    end: int
    tokens: int = 1


@dataclass(slots=True)
class _Group:
    """Words, or tokens, that are one entity; label: the first one's."""

    label: int
    score_sum: float
    parts: int
    start: int
    end: int


class EntityBuilder:
    """Entities of one text, or of one window of it."""

    def __init__(self, text: str, tagging: Tagging, aggregation: Aggregation) -> None:
        self._text = text
        self._tagging = tagging
        self._aggregation = aggregation
        self._ignored = tagging.ignored(aggregation)
        self._entities: list[Entity] = []
        self._word: _Word | None = None
        self._group: _Group | None = None

    def add(self, run: TokenRun) -> None:
        """Take the tokens that follow those already taken."""
        # A lone member may not know some labels.
        probabilities = np.where(np.isnan(run.probabilities), -1.0, run.probabilities)
        tops, spans = probabilities.max(axis=-1).tolist(), run.offsets.tolist()
        labels = probabilities.argmax(axis=-1).tolist()
        if self._aggregation in WORD_AGGREGATIONS:
            for label, top, scores, span, continues in zip(
                labels, tops, probabilities, spans, run.continues, strict=True
            ):
                self._add_to_word(_Word(label, top, scores, *span), continues=continues)
            return
        for place, (label, top, span) in enumerate(zip(labels, tops, spans, strict=True)):
            if self._aggregation == "none":
                self._emit_token(label, top, run.index + place, *span)
            else:
                self._take(label, top, *span)

    def __len__(self) -> int:
        """How many entities have ended so far."""
        return len(self._entities)

    def end(self) -> None:
        """Nothing that comes later continues what came so far."""
        self._end_word()
        self._end_group()

    def entities(self) -> list[Entity]:
        """All entities, in the order of the text."""
        self.end()
        return self._entities

    def _add_to_word(self, token: _Word, *, continues: bool) -> None:
        word = self._word
        if word is None or not continues:
            self._end_word()
            self._word = token
            return
        word.end = token.end
        word.tokens += 1
        if self._aggregation == "average":
            word.scores = word.scores + token.scores
        elif self._aggregation == "max" and token.top > word.top:
            word.label, word.top = token.label, token.top

    def _end_word(self) -> None:
        word, self._word = self._word, None
        if word is None:
            return
        label, score = word.label, word.top
        if self._aggregation == "average" and word.tokens > 1:
            label = int(word.scores.argmax())
            score = float(word.scores[label]) / word.tokens
        self._take(label, score, word.start, word.end)

    def _take(self, label: int, score: float, start: int, end: int) -> None:
        group, tagging = self._group, self._tagging
        if (
            group is not None
            and not tagging.begins[label]
            and tagging.tags[label] == tagging.tags[group.label]
        ):
            group.score_sum += score
            group.parts += 1
            group.end = end
        else:
            self._end_group()
            self._group = _Group(label, score, 1, start, end)

    def _end_group(self) -> None:
        group, self._group = self._group, None
        if group is not None and not self._ignored[group.label]:
            self._entities.append(
                {
                    "entity_group": self._tagging.groups[group.label],
                    "score": group.score_sum / group.parts,
                    "word": self._text[group.start : group.end],
                    "start": group.start,
                    "end": group.end,
                }
            )

    def _emit_token(self, label: int, score: float, index: int, start: int, end: int) -> None:
        if not self._ignored[label]:
            self._entities.append(
                {
                    "entity": self._tagging.labels[label],
                    "score": score,
                    "index": index,
                    "word": self._text[start:end],
                    "start": start,
                    "end": end,
                }
            )
