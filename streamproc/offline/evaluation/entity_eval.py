"""Entities: F1 by seqeval, strict about words and kinds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seqeval.metrics.sequence_labeling import get_entities

from streamproc.errors import EvaluationError
from streamproc.offline.corpus.tagged import OUTSIDE, TaggedText
from streamproc.offline.evaluation.eval_metrics import (
    CALIBRATION,
    Metric,
    calibration_statistics,
    f1,
    ratio,
    summed_by_record,
)
from streamproc.offline.evaluation.eval_task import EvalTask, JsonObject, result_of
from streamproc.types import BoolArray, FloatArray

EntitySpan = tuple[int, int, str]


class EntityEval(EvalTask):
    """Texts, each with its entities; the texts are the words joined by single spaces."""

    metrics: Sequence[Metric] = (
        Metric("entity F1", f1),
        Metric("precision", ratio),
        Metric("recall", ratio),
        CALIBRATION,
    )
    confidence_of = "entities found"

    def __init__(self, texts: Sequence[TaggedText]) -> None:
        self.records = len(texts)
        self.fields = [text.fields for text in texts]
        self.requests = [{"text": text.text} for text in texts]
        self._texts = texts
        self._right = entity_spans([text.tags for text in texts])
        self.labels = frozenset(kind for spans in self._right for _, _, kind in spans)

    def statistics(self, responses: Sequence[JsonObject]) -> list[FloatArray]:
        found = [result_of(response).get("entities", ()) for response in responses]
        if any("entity_group" not in entity for entities in found for entity in entities):
            raise EvaluationError("params.aggregation: 'none' makes no entities to be measured.")
        tags = [
            word_tags(text.words, entities)
            for text, entities in zip(self._texts, found, strict=True)
        ]
        counts = np.array(
            [
                (len(said & right), len(said), len(right))
                for said, right in zip(entity_spans(tags), self._right, strict=True)
            ],
            np.float64,
        )
        return [counts, counts[:, [0, 1]], counts[:, [0, 2]], self._calibration(found)]

    def _calibration(self, found: Sequence[Iterable[Mapping[str, Any]]]) -> FloatArray:
        number, score, right = self._scored(found)
        return summed_by_record(calibration_statistics(score, right), number, self.records)

    def confidences(self, responses: Sequence[JsonObject]) -> tuple[FloatArray, BoolArray]:
        _, score, right = self._scored(
            [result_of(response).get("entities", ()) for response in responses]
        )
        return score, right

    def _scored(
        self, found: Sequence[Iterable[Mapping[str, Any]]]
    ) -> tuple[NDArray[np.intp], FloatArray, BoolArray]:
        """Of every entity that has a word, its record, its score, and whether it is right."""
        scored = [
            (number, entity["score"], (own.start, own.stop, entity["entity_group"]) in right)
            for number, (text, entities, right) in enumerate(
                zip(self._texts, found, self._right, strict=True)
            )
            for entity, own in words_of(text.words, entities)
            if own
        ]
        number, score, right = zip(*scored, strict=True) if scored else ((), (), ())
        return np.array(number, np.intp), np.array(score, np.float64), np.array(right, np.bool_)


def entity_spans(tags: Sequence[Sequence[str]]) -> list[set[EntitySpan]]:
    """(first word, word after the last, kind) of each text's entities, by its BIO tags.

    As conlleval has it, and seqeval by default: I- behind what it does not go on begins an entity,
    as it does wherever a corpus is tagged in IOB1 (CoNLL-2003).
    """
    return [{(first, last + 1, kind) for kind, first, last in get_entities([*own])} for own in tags]


def word_tags(words: Sequence[str], entities: Sequence[Mapping[str, Any]]) -> list[str]:
    """The tag of each word of a text, by its entities, as `words_of` takes them."""
    tags = [OUTSIDE] * len(words)
    for entity, own in words_of(words, entities):
        for place in own:
            tags[place] = f"{'B' if place == own.start else 'I'}-{entity['entity_group']}"
    return tags


def words_of(
    words: Sequence[str], entities: Iterable[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], range]]:
    """Each entity, and the words of a text, of the words joined by single spaces, that are its own.

    entities: of the text, each with `start` and `end` in its characters

    A word is of the entity that has its first character, as training goes by its first token.
    """
    starts = np.cumsum([0, *(len(word) + 1 for word in words)])[:-1].tolist()
    return [
        (one, range(bisect_left(starts, one["start"]), bisect_left(starts, one["end"])))
        for one in entities
    ]
