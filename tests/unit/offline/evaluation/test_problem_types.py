"""Several labels and numbers are measured by what answers say, refused ones as wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamproc.errors import EvaluationError, TrainingError
from streamproc.offline.corpus.records import Columns
from streamproc.offline.corpus.rows import Source
from streamproc.offline.evaluation.eval_task import EvalTask
from streamproc.offline.evaluation.number_eval import NumberEval, TextWithNumber, read_numbers
from streamproc.offline.evaluation.several_labels_eval import (
    SeveralLabelsEval,
    TextWithLabels,
    read_several_labels,
)

ERROR: dict[str, Any] = {"status": "error", "error": {"detail": "too long"}}


def ok(**result: Any) -> dict[str, Any]:
    return {"status": "ok", "result": result}


def values(eval_task: EvalTask, responses: list[dict[str, Any]]) -> dict[str, float]:
    statistics = eval_task.statistics(responses)
    return {m.name: m.value(own) for m, own in zip(eval_task.metrics, statistics, strict=True)}


def written(folder: Path, *rows: dict[str, Any]) -> Source:
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return Source("mine", path)


def test_labels_are_counted_one_by_one() -> None:
    right = [{"a", "b"}, {"b"}, set[str](), {"c"}]
    records = [TextWithLabels("t", frozenset(labels), {}) for labels in right]
    eval_task = SeveralLabelsEval(records, ["a", "b", "c"])
    said = [
        ok(labels=["a"], scores={"a": 1.0, "b": 0.2, "c": 0.0}),
        ok(labels=["b", "c"], scores={"b": 0.8, "c": 0.6, "a": 0.0}),
        ok(labels=[], scores={"a": 0.0, "b": 0.0, "c": 0.0}),
        ERROR,
    ]

    found = values(eval_task, said)

    # Right: a, b. Said: a, b, c. To be said: a, b, b, c.
    assert found["micro-F1"] == pytest.approx(2 * 2 / (3 + 4))
    assert found["macro-F1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert found["exact match"] == pytest.approx(1 / 4)
    # Of twelve labels of texts: 0.2 is right, 0.8 is right, 0.6 wrong, 1.0 right, and of the eight
    # at 0 one is right.
    assert found["calibration error"] == pytest.approx((0.8 + 0.2 + 0.6 + 0 + 1) / 12)
    assert eval_task.likelihood([*said[:3], said[2]]) < eval_task.likelihood(
        [*said[:3], ok(labels=["c"], scores={"c": 0.9})]
    )


def test_a_refused_text_without_labels_is_no_exact_match() -> None:
    eval_task = SeveralLabelsEval([TextWithLabels("t", frozenset(), {})], ["a"])

    assert values(eval_task, [ERROR])["exact match"] == 0
    assert values(eval_task, [ok(labels=[], scores={"a": 0.1})])["exact match"] == 1


def test_labels_are_read_as_a_list_and_renamed(tmp_path: Path) -> None:
    source = written(
        tmp_path, {"text": "t", "label": ["1", "b"], "n": 3}, {"text": "u", "label": []}
    )

    found = read_several_labels(source, Columns(), {"1": "a"}, ["a", "b"])

    assert found == [
        TextWithLabels("t", frozenset("ab"), {"n": "3", "corpus": "mine"}),
        TextWithLabels("u", frozenset(), {"corpus": "mine"}),
    ]
    with pytest.raises(EvaluationError, match="1 is no label of the ensemble"):
        read_several_labels(source, Columns(), {}, ["a", "b"])
    with pytest.raises(TrainingError, match="line 1: 'label' is not a list of texts"):
        read_several_labels(written(tmp_path, {"text": "t", "label": "a"}), Columns(), {}, ["a"])


def test_numbers_are_measured_by_how_far_they_are_off() -> None:
    right, said = [1.0, 2.0, 3.0, 6.0], [1.5, 2.0, 2.0]
    eval_task = NumberEval([TextWithNumber("t", number, {}) for number in right])

    found = values(eval_task, [*(ok(value=value, spread=0.0) for value in said), ERROR])

    off = np.array([*said, np.mean(right)]) - right
    assert found["RMSE"] == pytest.approx(np.sqrt((off**2).mean()))
    assert found["mean absolute error"] == pytest.approx(np.abs(off).mean())
    assert found["Pearson correlation"] == pytest.approx(
        np.corrcoef(np.array(right), np.array([*said, np.mean(right)]))[0, 1]
    )
    same = values(eval_task, [ok(value=2.0)] * 4)
    assert np.isnan(same["Pearson correlation"])


@pytest.mark.parametrize(("mean", "apart"), [(0.0, 1.0), (1.7e9, 10.0), (-1e12, 50.0)])
def test_correlation_is_the_same_however_far_numbers_are_from_0(mean: float, apart: float) -> None:
    random = np.random.default_rng(3)
    right = mean + apart * random.normal(size=500)
    said = right + apart * random.normal(size=500)
    eval_task = NumberEval([TextWithNumber("t", number, {}) for number in right])

    found = values(eval_task, [ok(value=value) for value in said.tolist()])

    expected = np.corrcoef(right - mean, said - mean)[0, 1]
    assert found["Pearson correlation"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("count", [3, 10, 500])
def test_numbers_that_are_all_the_same_have_no_correlation(count: int) -> None:
    eval_task = NumberEval([TextWithNumber("t", 0.1, {}) for _ in range(count)])

    found = values(eval_task, [ok(value=0.1)] * count)

    assert np.isnan(found["Pearson correlation"])


def test_numbers_are_read_from_numbers_and_from_texts_of_them(tmp_path: Path) -> None:
    source = written(tmp_path, {"text": "t", "label": 3}, {"text": "u", "label": "-1.5"})

    assert [one.number for one in read_numbers(source, Columns())] == [3.0, -1.5]
    for wrong in ("three", "nan", [1], True):
        with pytest.raises(TrainingError, match="line 1: 'label' is not a number"):
            read_numbers(written(tmp_path, {"text": "t", "label": wrong}), Columns())
