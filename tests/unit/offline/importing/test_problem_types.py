"""Heads with a sigmoid for each label, and heads of numbers, become members as what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from streamproc.errors import ModelRefused, SettingsError
from streamproc.offline.importing.imports import Imported
from streamproc.repository.repository import Repository
from streamproc.serving.ensembling.heads import sigmoid
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.session import OnnxSession, new_call
from streamproc.serving.inference.signature import Signature
from streamproc.types import FloatArray
from tests.support.foreign_models import (
    VOCABULARY,
    Ending,
    Row,
    Said,
    bring,
    foreign,
    own_probabilities,
)
from tests.support.onnx_models import classifier, write_ensemble

ROWS = ([4, 9, 11, 30, 2], [7], [VOCABULARY - 1, 1, 1, 5, 6, 7, 8])


def scores_of(model: bytes, outputs: int) -> FloatArray:
    """(rows, outputs), of an imported model as a worker runs it."""
    session = OnnxSession("member", model, Signature(("logits",), outputs), Provider(CPU))
    return np.stack(session.run(Batch.pad([Row(ids) for ids in ROWS]), new_call()))


def own_scores(source: Path, outputs: int) -> FloatArray:
    """What the model itself gives."""
    found = np.stack([own_probabilities(source, row, np.float32) for row in ROWS])
    return found[:, -outputs:]


def kept(imported: Imported) -> Any:
    """What a worker reads of the new ensemble."""
    manifest = Repository(imported.manifest.parent.parent).open(imported.ensemble).manifest
    assert manifest.problem_type == imported.problem_type
    return manifest


@pytest.mark.parametrize("ending", ["sigmoid", "sigmoid hidden", "logits"])
def test_several_labels_get_the_probabilities_that_the_model_gives_them(
    tmp_path: Path, ending: Ending
) -> None:
    source = foreign(tmp_path / "m.onnx", ending=ending, ignored_id=0)
    said: dict[str, Any] = (
        {} if ending == "sigmoid" else {"problem_type": "multi_label_classification"}
    )
    if ending == "sigmoid hidden":
        said["scores"] = "probabilities"

    imported, model = bring(source, tmp_path / "models", **said)

    own = own_scores(source, 3)
    expected = sigmoid(own) if ending == "logits" else own
    assert sigmoid(scores_of(model, 3)) == pytest.approx(expected, abs=1e-6)
    assert kept(imported).labels == ("a", "b", "c")
    assert imported.problem_type == "multi_label_classification"


def test_scores_of_separate_labels_that_look_like_probabilities_are_asked_about(
    tmp_path: Path,
) -> None:
    source = foreign(tmp_path / "m.onnx", ending="sigmoid hidden", ignored_id=0)
    said = Said({"--scores": "probabilities"})

    _, model = bring(source, tmp_path / "models", said, problem_type="multi_label_classification")

    assert sigmoid(scores_of(model, 3)) == pytest.approx(own_scores(source, 3), abs=1e-6)
    assert said.asked


@pytest.mark.parametrize("outputs", [1, 3])
def test_numbers_are_what_the_model_gives(tmp_path: Path, outputs: int) -> None:
    source = foreign(tmp_path / "m.onnx", ending="logits", labels=outputs, ignored_id=0)
    labels = () if outputs == 1 else ("a", "b", "c")

    imported, model = bring(source, tmp_path / "models", labels=labels, problem_type="regression")

    assert scores_of(model, outputs) == pytest.approx(own_scores(source, outputs), abs=1e-6)
    assert kept(imported).labels == (labels or ("value",))


def test_a_number_that_the_model_squeezes_between_0_and_1_stays_there(tmp_path: Path) -> None:
    source = foreign(tmp_path / "m.onnx", ending="sigmoid", labels=1, ignored_id=0)

    _, model = bring(source, tmp_path / "models", labels=(), problem_type="regression")

    assert scores_of(model, 1) == pytest.approx(own_scores(source, 1), abs=1e-6)


def test_a_number_without_a_dimension_of_its_own_gets_one(tmp_path: Path) -> None:
    source = foreign(tmp_path / "m.onnx", ending="logits", labels=1, ignored_id=0)
    model = onnx.load(str(source))
    model.graph.node[-1].output[0] = "wide"
    axis = onnx.numpy_helper.from_array(np.array([1], np.int64), "last")
    model.graph.initializer.append(axis)
    model.graph.node.append(onnx.helper.make_node("Squeeze", ["wide", "last"], ["dense:0"]))
    del model.graph.output[0].type.tensor_type.shape.dim[1]
    onnx.save(model, str(tmp_path / "flat.onnx"))

    _, made = bring(
        tmp_path / "flat.onnx", tmp_path / "models", labels=(), problem_type="regression"
    )

    assert scores_of(made, 1) == pytest.approx(own_scores(source, 1), abs=1e-6)


@pytest.mark.parametrize(
    ("answer", "labels"),
    [
        ("regression", ()),
        ("multi_label_classification", ("toxic",)),
        ("single_label_classification", ("no", "yes")),
    ],
)
def test_one_output_is_what_somebody_says_it_is(
    tmp_path: Path, answer: str, labels: tuple[str, ...]
) -> None:
    source = foreign(tmp_path / "m.onnx", ending="logits", labels=1, ignored_id=0)
    said = Said({"--problem-type": answer})

    imported, _ = bring(source, tmp_path / "models", said, labels=labels)

    assert kept(imported).labels == (labels or ("value",))
    assert imported.problem_type == answer
    with pytest.raises(ModelRefused, match="--problem-type 'both'"):
        bring(source, tmp_path / "others", Said({"--problem-type": "both"}), labels=labels)


@pytest.mark.parametrize("kind", ["regression", "multi_label_classification"])
def test_config_json_beside_a_graph_says_what_its_outputs_are(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "exported"
    source.mkdir()
    (source / "model.onnx").write_bytes(classifier(VOCABULARY, 3))
    names = {"0": "valence", "1": "arousal", "2": "dominance"}
    config = {"model_type": "bert", "id2label": names, "problem_type": kind}
    (source / "config.json").write_text(json.dumps(config), "utf-8")

    imported, _ = bring(source, tmp_path / "models", labels=())

    assert imported.problem_type == kept(imported).problem_type == kind
    assert imported.labels == ("valence", "arousal", "dominance")


def test_a_model_joins_an_ensemble_of_its_kind_alone(tmp_path: Path) -> None:
    models = tmp_path / "models"
    source = foreign(tmp_path / "m.onnx", ending="logits", ignored_id=0)
    sigmoids = foreign(tmp_path / "s.onnx", ending="sigmoid", ignored_id=0)
    bring(source, models, problem_type="regression")

    imported, _ = bring(source, models, member="second")
    assert imported.problem_type == "regression"

    bring(sigmoids, models, member="third")  # of numbers between 0 and 1
    with pytest.raises(ModelRefused, match="an ensemble of regression, and the model is one of mu"):
        bring(source, models, member="fourth", problem_type="multi_label_classification")


def test_a_model_of_numbers_that_lacks_one_does_not_join(tmp_path: Path) -> None:
    write_ensemble(
        tmp_path / "models" / "tone",
        [classifier(VOCABULARY, 3, seed=1)],
        labels=("a", "b", "c"),
    )
    manifest = tmp_path / "models" / "tone" / "manifest.toml"
    text = manifest.read_text("utf-8")
    manifest.write_text(text.replace("labels", 'problem_type = "regression"\nlabels', 1), "utf-8")
    source = tmp_path / "m.onnx"
    source.write_bytes(classifier(VOCABULARY, 3))

    with pytest.raises(ModelRefused, match=r"must give every number of a regression, a, b, c"):
        bring(source, tmp_path / "models", labels=("a", "b", ""))


def test_labels_that_exclude_each_other_are_no_separate_ones(tmp_path: Path) -> None:
    source = foreign(tmp_path / "m.onnx", ignored_id=0)
    with pytest.raises(ModelRefused, match="ends in a softmax over labels"):
        bring(source, tmp_path / "models", problem_type="multi_label_classification")


def test_probabilities_of_numbers_make_no_sense(tmp_path: Path) -> None:
    source = foreign(tmp_path / "m.onnx", ending="logits", ignored_id=0)
    with pytest.raises(SettingsError, match="--scores: means nothing for a regression"):
        bring(source, tmp_path / "models", problem_type="regression", scores="probabilities")


@pytest.mark.parametrize(
    ("outputs", "ending", "options", "said"),
    [
        (1, "logits", {"labels": ("no", "yes")}, "which may be a number"),
        (2, "sigmoid", {"labels": ("no", "yes")}, "the model is one of multi_label"),
    ],
)
def test_a_model_that_may_be_of_another_kind_does_not_join_unasked(
    tmp_path: Path, outputs: int, ending: Ending, options: dict[str, Any], said: str
) -> None:
    models = tmp_path / "models"
    write_ensemble(models / "tone", [classifier(VOCABULARY, 2)], labels=("no", "yes"))
    source = foreign(tmp_path / "m.onnx", ending=ending, labels=outputs, ignored_id=0)

    with pytest.raises((ModelRefused, SettingsError), match=said):
        bring(source, models, member="second", **options)

    if outputs == 1:
        imported, _ = bring(source, models, member="second", scores="logits", **options)
        assert imported.problem_type == "single_label_classification"
