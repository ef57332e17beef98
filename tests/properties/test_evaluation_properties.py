from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streamproc.offline.evaluation.eval_metrics import (
    Metric,
    calibration_error,
    calibration_statistics,
    f1,
    macro_f1,
    perplexity,
    ratio,
)
from streamproc.offline.evaluation.intervals import Estimate, Resamples
from streamproc.offline.evaluation.translation_eval import SourceSentence, TranslationEval
from streamproc.types import FloatArray

METRICS = {
    "ratio": (Metric("ratio", ratio), 2),
    "f1": (Metric("f1", f1), 3),
    "macro_f1": (Metric("macro_f1", macro_f1), 12),
    "perplexity": (Metric("perplexity", perplexity), 2),
}


def statistics_of(width: int) -> st.SearchStrategy[FloatArray]:
    counts = st.integers(1, 30).map(lambda records: (records, width))
    return counts.flatmap(lambda shape: arrays(np.float64, shape, elements=st.integers(0, 9)))


def drawn(metric: Metric, statistics: FloatArray) -> FloatArray:
    return metric.of_sums(Resamples(len(statistics), 100).sums(statistics))


@pytest.mark.parametrize("name", METRICS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_an_interval_contains_its_estimate(name: str, data: st.DataObject) -> None:
    metric, width = METRICS[name]
    statistics = data.draw(statistics_of(width))
    value = metric.value(statistics)
    estimate = Estimate.of(value, drawn(metric, statistics))
    assert np.isnan(value) or estimate.low <= value <= estimate.high


@pytest.mark.parametrize("name", METRICS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_metric_does_not_depend_on_the_order_of_records(name: str, data: st.DataObject) -> None:
    metric, width = METRICS[name]
    statistics = data.draw(statistics_of(width))
    order = data.draw(st.permutations(range(len(statistics))))
    found = metric.value(statistics[list(order)])
    assert found == pytest.approx(metric.value(statistics), nan_ok=True)


@given(
    records=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40),
)
@settings(max_examples=60, deadline=None)
def test_calibration_error_lies_between_the_mean_gap_and_one(
    records: list[tuple[float, bool]],
) -> None:
    confidence, right = (np.array(column) for column in zip(*records, strict=True))
    metric = Metric("calibration error", calibration_error)
    statistics = calibration_statistics(confidence, right)
    value = metric.value(statistics)
    gap = abs(confidence.mean() - right.mean())
    assert gap - 1e-9 <= value <= 1 + 1e-9
    estimate = Estimate.of(value, drawn(metric, statistics))
    assert estimate.low <= value <= estimate.high


@given(st.integers(1, 60), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_every_draw_has_as_many_records_as_there_are(records: int, seed: int) -> None:
    resamples = Resamples(records, 50, seed)
    assert (resamples.sums(np.ones((records, 1))) == records).all()
    assert (resamples.times == Resamples(records, 50, seed).times).all()


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_bleu_and_chrf_do_not_depend_on_the_order_of_sentences(data: st.DataObject) -> None:
    word = st.sampled_from(["ein", "Hund", "und", "eine", "Katze", "."])
    words = st.lists(word, min_size=1, max_size=8)
    texts = words.map(" ".join)
    rows = data.draw(
        st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=6)
    )
    order = data.draw(st.permutations(range(len(rows))))

    def values(places: list[int]) -> list[float]:
        eval_task = TranslationEval([SourceSentence("s", rows[place][1], {}) for place in places])
        said = [
            {"status": "ok", "result": {"translation_text": rows[place][0]}} for place in places
        ]
        pairs = zip(eval_task.metrics, eval_task.statistics(said), strict=True)
        return [metric.value(statistics) for metric, statistics in pairs]

    assert values(list(order)) == pytest.approx(values(list(range(len(rows)))))
