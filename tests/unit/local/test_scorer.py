"""`streamproc.Scorer`: batches of any kind in, the same kind out with answers."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import streamproc
from streamproc.errors import Invalid, ModelRefused, SettingsError
from streamproc.local.answer_columns import DEFAULT_COLUMNS, column_types
from streamproc.local.loaded_models import LOADED
from streamproc.repository.repository import MANIFEST
from streamproc.serving.tasks.catalogue import TASKS
from tests.support.small_ensembles import SMALL

Make = Callable[..., streamproc.Scorer]

TEXTS = ["the good film", "bad", "good good"]
INPUTS: dict[str, dict[str, list[str]]] = {
    "text-classification": {"text": TEXTS},
    "token-classification": {"text": TEXTS},
    "question-answering": {"question": ["what"] * 3, "context": TEXTS},
    "translation": {"text": TEXTS},
    "summarization": {"text": TEXTS},
    "text-generation": {"text": TEXTS},
}
PARAMS: dict[str, dict[str, Any]] = {
    "token-classification": {"aggregation": "none", "ignore_labels": []},
    "text-generation": {"next_tokens": 2},
}

OF_OTHER_TYPES = ("labels", "value", "spread", "values")


@pytest.fixture
def scorer(settings: streamproc.Settings) -> Make:
    """A scorer of the small ensembles."""

    def make(task: str = "text-classification", **options: Any) -> streamproc.Scorer:
        return streamproc.Scorer(SMALL[task], task, settings=settings, **options)

    return make


def kept(answers: dict[str, Any]) -> dict[str, Any]:
    """The columns that were added, as lists."""
    return {name: list(values) for name, values in answers.items() if name not in INPUTS_OF_ALL}


INPUTS_OF_ALL = {"text", "question", "context", "row"}


def test_batches_of_every_kind_get_the_same_answers(scorer: Make) -> None:
    score = scorer(keep=["label", "score", "scores", "agreement"])
    table = pa.table({"text": TEXTS})
    (record_batch,) = table.to_batches()

    of_lists = score({"text": TEXTS})
    of_arrays = score({"text": np.array(TEXTS)})
    of_table, of_record_batch = score(table), score(record_batch)

    assert kept(of_lists)["error"] == [""] * 3
    assert kept(of_arrays) == kept(of_lists) == kept(of_table.to_pydict())
    assert of_record_batch.to_pydict() == of_table.to_pydict()
    assert isinstance(of_record_batch, pa.RecordBatch)
    assert isinstance(of_table, pa.Table)
    assert isinstance(of_lists["label"], list)
    assert of_arrays["score"].dtype == np.float64


def test_a_data_frame_gets_its_answers_beside_its_rows_and_keeps_its_index(scorer: Make) -> None:
    frame = pd.DataFrame({"row": [7, 8, 9], "text": [TEXTS[0], None, TEXTS[2]]}, index=[3, 1, 2])

    found = scorer()(frame)

    assert list(frame) == ["row", "text"]
    assert list(found) == ["row", "text", "label", "score", "error"]
    assert list(found.index) == [3, 1, 2]
    assert found["score"].dtype == np.float64
    label, lacking, _ = found["label"]
    assert label == "positive"
    assert pd.isna(lacking)
    assert [bool(error) for error in found["error"]] == [False, True, False]


def test_answers_are_those_of_the_pipeline(scorer: Make, pipeline: Callable[..., Any]) -> None:
    found = scorer(keep=["label", "score", "agreement", "entropy", "status"])({"text": TEXTS})
    responses = pipeline("sentiment-analysis").responses(TEXTS)

    assert found["label"] == [response["result"]["label"] for response in responses]
    assert found["score"] == [response["result"]["score"] for response in responses]
    for name in ("agreement", "entropy", "status"):
        assert found[name] == [response[name] for response in responses]


@pytest.mark.parametrize("task", TASKS)
def test_every_field_of_every_task_has_a_type_that_its_answers_fit(task: str, scorer: Make) -> None:
    params = PARAMS.get(task, {})
    fields = [name for name in column_types(task, params) if name not in OF_OTHER_TYPES]
    score = scorer(task, keep=fields, **params)
    table = pa.table(INPUTS[task])

    answered, of_nothing = score(table), score(table.slice(0, 0))

    assert answered.column("error").to_pylist() == [""] * 3
    assert all(answered.column(name).null_count == 0 for name in answered.column_names)
    assert answered.schema == of_nothing.schema == score.schema(table.schema)
    assert of_nothing.num_rows == 0


@pytest.mark.parametrize(
    ("problem_type", "fields"),
    [
        ("multi_label_classification", ["label", "score", "scores", "labels"]),
        ("regression", ["values"]),
    ],
)
def test_several_labels_and_numbers_have_types_that_fit_too(
    problem_type: str, fields: list[str], models: Path, tmp_path: Path
) -> None:
    shutil.copytree(models / "sentiment", tmp_path / "sentiment")
    manifest = tmp_path / "sentiment" / MANIFEST
    manifest.write_text(f'problem_type = "{problem_type}"\n{manifest.read_text("utf-8")}', "utf-8")
    settings = streamproc.Settings(models_dir=tmp_path, threads=1)

    found = streamproc.Scorer("sentiment", settings=settings, keep=fields)(
        pa.table({"text": TEXTS})
    )

    assert found.column("error").to_pylist() == [""] * 3
    assert all(found.column(name).null_count == 0 for name in fields)
    if problem_type == "regression":
        with pytest.raises(SettingsError, match="gives no label and no score; it gives: values"):
            streamproc.Scorer("sentiment", settings=settings)({"text": TEXTS})


@pytest.mark.parametrize("task", TASKS)
def test_a_task_has_fields_that_are_kept_by_itself(task: str, scorer: Make) -> None:
    found = scorer(task)(INPUTS[task])

    assert tuple(kept(found)) == (*DEFAULT_COLUMNS[task], "error")
    assert found["error"] == [""] * 3


def test_a_row_that_can_not_be_answered_ends_nothing(scorer: Make) -> None:
    deep: Any = "x"
    for _ in range(100):
        deep = [deep]
    wrong = [None, 5, "half a pair: \ud800", deep, b"bytes", "long " * 300_000, float("nan")]
    texts = ["good", *wrong, "bad"]

    found = scorer()({"text": texts})

    said = [bool(error) for error in found["error"]]
    assert said == [False, *[True] * len(wrong), False]
    assert [label is None for label in found["label"]] == said
    assert scorer()({"text": ["good", "bad"]})["score"] == [found["score"][0], found["score"][-1]]


def test_errors_of_a_whole_array_leave_its_types_as_they_are(scorer: Make) -> None:
    found = scorer("question-answering")(
        {"question": np.array(["", ""]), "context": np.array(["a", "b"])}
    )

    assert np.isnan(found["score"]).all()
    assert found["answer"].tolist() == found["start"].tolist() == [None, None]
    assert all("question" in error for error in found["error"])


def test_columns_may_be_called_otherwise(scorer: Make) -> None:
    score = scorer(columns={"text": "review"}, prefix="mood_")

    found = score({"review": TEXTS, "label": [1, 2, 3], "error": ["a"] * 3})

    assert list(found) == ["review", "label", "error", "mood_label", "mood_score", "mood_error"]
    assert found["label"] == [1, 2, 3]


def test_what_arrow_knows_of_a_table_stays(scorer: Make) -> None:
    schema = pa.schema(
        [pa.field("text", pa.large_string(), metadata={"of": "reviews"}), ("row", pa.int8())],
        metadata={"made": "by us"},
    )
    table = pa.table({"text": TEXTS, "row": [1, 2, 3]}, schema=schema)

    found = scorer()(table)

    assert found.select(["text", "row"]).equals(table, check_metadata=True)


def test_an_iterator_of_batches_is_answered_as_it_is_read(scorer: Make) -> None:
    read: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(3):
            read.append(number)
            yield pa.record_batch({"text": TEXTS})

    answered = scorer()(batches())
    first = next(answered)

    assert (read, first.num_rows) == ([0], 3)
    assert len(list(answered)) == 2


def test_it_is_pickled_as_what_it_was_made_with(scorer: Make) -> None:
    score = scorer(keep=["label", "score"], top_k=1)
    found = score({"text": TEXTS})

    copy = pickle.loads(pickle.dumps(score))  # noqa: S301

    assert len(pickle.dumps(score)) < 4096
    assert copy({"text": TEXTS}) == found


def test_what_goes_with_it_holds_in_another_folder_and_has_no_password(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models.parent)
    secrets: dict[str, Any] = {
        name: "secret"
        for name, field in streamproc.Settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }
    assert len(secrets) >= 3
    settings = streamproc.Settings(models_dir=Path(models.name), **secrets)
    by_name = streamproc.Scorer("sentiment", settings=settings)
    by_folder = streamproc.Scorer(Path(models.name) / "sentiment", settings=settings)
    monkeypatch.chdir(tmp_path)

    pickled = pickle.dumps([by_name, by_folder])

    assert b"secret" not in pickled
    found = [score({"text": TEXTS}) for score in pickle.loads(pickled)]  # noqa: S301
    assert found[0] == found[1]
    assert found[0]["error"] == [""] * 3


def test_models_are_loaded_when_they_are_used_and_once_a_process(scorer: Make) -> None:
    scorers = [pickle.loads(pickle.dumps(scorer())) for _ in range(3)]  # noqa: S301
    loaded = [len(LOADED.loaded)]

    scorers[0]({"text": []})
    loaded.append(len(LOADED.loaded))
    for score in scorers:
        score({"text": TEXTS})
        loaded.append(len(LOADED.loaded))
    scorers[0].close()
    loaded.append(len(LOADED.loaded))

    assert loaded == [0, 0, 1, 1, 1, 0]
    assert scorers[1]({"text": TEXTS})["error"] == [""] * 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"task": "text-clasification"}, "no task 'text-clasification'; did you mean 'text-class"),
        ({"task": "ner"}, "no task 'ner'; did you mean 'token-classification'"),
        ({"task": "chat"}, "no task 'chat'; there are: text-classification, "),
        ({"keep": ["lable"]}, "did you mean 'label'"),
        ({"columns": {"txt": "review"}}, "did you mean 'text'"),
        ({"topk": 1}, "did you mean 'top_k'"),
        ({"top_k": "two"}, "top_k"),
    ],
)
def test_what_is_wrong_is_told_where_it_is_made(options: dict[str, Any], said: str) -> None:
    with pytest.raises((SettingsError, Invalid), match=said):
        streamproc.Scorer("sentiment", **options)


def test_batches_that_do_not_fit_are_refused(scorer: Make) -> None:
    with pytest.raises(SettingsError, match="no column 'text'; did you mean 'Text'"):
        scorer()({"Text": TEXTS})
    with pytest.raises(SettingsError, match="a column 'label' already; prefix="):
        scorer()({"text": TEXTS, "label": [1, 2, 3]})
    with pytest.raises(SettingsError, match=r"found builtins\.list"):
        scorer()(TEXTS)
    for alone in ("good", None):
        with pytest.raises(SettingsError, match=r"'text' holds one value .* batched=True"):
            scorer()({"text": alone})


def test_an_ensemble_that_is_not_there_is_no_rows_fault(settings: streamproc.Settings) -> None:
    score = streamproc.Scorer("sentimant", settings=settings)

    with pytest.raises(ModelRefused, match="did you mean 'sentiment'"):
        score({"text": TEXTS})
