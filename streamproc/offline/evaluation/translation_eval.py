"""Translations: BLEU and chrF by sacrebleu."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from streamproc.offline.corpus.translation_pairs import Pair
from streamproc.offline.evaluation.eval_metrics import Metric
from streamproc.offline.evaluation.eval_task import EvalTask, JsonObject, result_of
from streamproc.types import FloatArray


def _score(metric: Any, sums: FloatArray) -> FloatArray:
    # sacrebleu's own bootstrap goes the same way, from sums of what segments come to.
    reckon = metric._compute_score_from_stats  # noqa: SLF001
    flat = sums.reshape(-1, sums.shape[-1])
    scores = [reckon(row.tolist()).score for row in flat]
    return np.array(scores, np.float64).reshape(sums.shape[:-1]) / 100


def bleu(sums: FloatArray) -> FloatArray:
    """Corpus BLEU with sacrebleu's defaults, 0 to 1."""
    return _score(BLEU(), sums)


def chrf(sums: FloatArray) -> FloatArray:
    """Corpus chrF2 with sacrebleu's defaults, 0 to 1."""
    return _score(CHRF(), sums)


@dataclass(frozen=True, slots=True)
class SourceSentence:
    """A sentence and its translations, of which any will do; fields: of the first pair."""

    source: str
    targets: Sequence[str]
    fields: Mapping[str, str]


class TranslationEval(EvalTask):
    """Sentences, each with all its translations."""

    metrics: Sequence[Metric] = (Metric("BLEU", bleu, unit=""), Metric("chrF", chrf, unit=""))

    def __init__(self, sentences: Sequence[SourceSentence]) -> None:
        self.records = len(sentences)
        self.requests = [{"text": sentence.source} for sentence in sentences]
        self.fields = [sentence.fields for sentence in sentences]
        # As many streams as the most translations one has; None where another has fewer.
        self._references = [
            list(stream) for stream in zip_longest(*(sentence.targets for sentence in sentences))
        ]

    def statistics(self, responses: Sequence[JsonObject]) -> list[FloatArray]:
        said = [str(result_of(response).get("translation_text", "")) for response in responses]
        return [
            np.array(
                metric._extract_corpus_statistics(said, self._references),  # noqa: SLF001
                np.float64,
            )
            for metric in (BLEU(), CHRF())
        ]


def by_source(pairs: Sequence[Pair]) -> list[SourceSentence]:
    """Every sentence once, with all its translations, in the order of the data."""
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.source, []).append(pair)
    return [
        SourceSentence(source, [pair.target for pair in own], own[0].fields)
        for source, own in found.items()
    ]
