"""Graphs of other frameworks answer in a worker as they did where they came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.message import EncodeError
from onnx import TensorProto

from streamproc.errors import MemberFailed, ModelRefused, SettingsError
from streamproc.offline.importing import scoring
from tests.support.foreign_models import (
    VOCABULARY,
    Ending,
    Said,
    bring,
    foreign,
    own_probabilities,
    probabilities,
)
from tests.support.onnx_models import classifier

ROWS = ([4, 9, 11, 30, 2], [7], [VOCABULARY - 1, 1, 1, 5, 6, 7, 8])
KINDS = {TensorProto.FLOAT: np.float32, TensorProto.INT32: np.int32, TensorProto.INT64: np.int64}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["softmax", "softmax hidden"])
def test_a_model_without_a_mask_answers_as_by_itself_whatever_its_ids_are(
    tmp_path: Path, kind: int, ending: Ending
) -> None:
    source = foreign(tmp_path / "m.onnx", kind=kind, ending=ending, ignored_id=0)

    _, model = bring(source, tmp_path / "models", scores=_scale(ending))

    own = [own_probabilities(source, row, KINDS[kind]) for row in ROWS]
    assert probabilities(model, ROWS, 3) == pytest.approx(np.stack(own), abs=1e-6)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("fixed", [True, False])
def test_texts_are_padded_to_the_length_that_a_model_was_trained_with(
    tmp_path: Path, side: str, fixed: bool
) -> None:
    source = foreign(tmp_path / "m.onnx", length=12 if fixed else None)
    options: dict[str, Any] = {"padded_to": 12, "pad_side": side, "pad_token": "5"}

    imported, model = bring(source, tmp_path / "models", **options)

    def padded(row: list[int]) -> list[int]:
        filler = [5] * (12 - len(row))
        return row + filler if side == "right" else filler + row

    own = [own_probabilities(source, padded(row), np.float32) for row in ROWS]
    assert probabilities(model, ROWS, 3) == pytest.approx(np.stack(own), abs=1e-6)
    assert f"padded to 12 tokens with id 5, on the {side}" in imported.changes


def test_a_text_longer_than_the_length_fails_and_is_not_cut_off(tmp_path: Path) -> None:
    source = foreign(tmp_path / "m.onnx", length=12)
    _, model = bring(source, tmp_path / "models", window=None)

    probabilities(model, [list(range(4, 16))], 3)
    with pytest.raises(MemberFailed):
        probabilities(model, [list(range(4, 17))], 3)


def test_the_window_of_a_new_ensemble_is_the_length_that_a_model_takes(tmp_path: Path) -> None:
    source = foreign(tmp_path / "m.onnx", length=12)
    bring(source, tmp_path / "models", window=None)
    assert "max_tokens = 12\n" in (tmp_path / "models/tone/manifest.toml").read_text("utf-8")
    with pytest.raises(SettingsError, match="takes 12 tokens at most"):
        bring(source, tmp_path / "others", window=13)


def test_a_model_whose_answer_hangs_on_padding_is_refused_and_told_what_to_do(
    tmp_path: Path,
) -> None:
    source = foreign(tmp_path / "m.onnx")
    with pytest.raises(ModelRefused, match=r"padding behind a text .*--padded-to LENGTH"):
        bring(source, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_padding_has_the_id_that_the_model_knows_it_by(tmp_path: Path) -> None:
    source = foreign(tmp_path / "m.onnx", ignored_id=9)
    rows = ([4, 11, 30, 2], [7])

    _, model = bring(source, tmp_path / "models", pad_token="9")  # noqa: S106

    own = [own_probabilities(source, row, np.float32) for row in rows]
    assert probabilities(model, rows, 3) == pytest.approx(np.stack(own), abs=1e-6)


@pytest.mark.parametrize("ending", ["sigmoid", "sigmoid hidden", "logits"])
def test_one_score_stands_for_two_labels(tmp_path: Path, ending: Ending) -> None:
    source = foreign(tmp_path / "m.onnx", ending=ending, labels=1, ignored_id=0)

    scale = "logits" if ending == "logits" else _scale(ending)
    imported, model = bring(source, tmp_path / "models", labels=("no", "yes"), scores=scale)

    own = np.stack([own_probabilities(source, row, np.float32) for row in ROWS])
    if ending == "logits":
        yes = 1 / (1 + np.exp(-own[:, 1]))
        own = np.stack((1 - yes, yes), axis=1)
    assert probabilities(model, ROWS, 2) == pytest.approx(own, abs=1e-6)
    assert imported.labels == ("no", "yes")


def test_one_output_that_may_be_a_number_is_asked_about_though_labels_were_given(
    tmp_path: Path,
) -> None:
    source = foreign(tmp_path / "m.onnx", ending="logits", labels=1, ignored_id=0)
    with pytest.raises(SettingsError, match=r"one output.*--scores logits.*Say --problem-type"):
        bring(source, tmp_path / "models", labels=("no", "yes"))
    assert not (tmp_path / "models").exists()


def test_scores_that_look_like_probabilities_are_asked_about(tmp_path: Path) -> None:
    source = foreign(tmp_path / "m.onnx", ending="softmax hidden", ignored_id=0)
    with pytest.raises(SettingsError, match="--scores"):
        bring(source, tmp_path / "models")

    said = Said({"--scores": "probabilities"})
    _, model = bring(source, tmp_path / "models", said)

    own = [own_probabilities(source, row, np.float32) for row in ROWS]
    assert probabilities(model, ROWS, 3) == pytest.approx(np.stack(own), abs=1e-6)


def test_labels_that_do_not_exclude_each_other_are_refused_where_they_are_said_to(
    tmp_path: Path,
) -> None:
    source = foreign(tmp_path / "m.onnx", ending="sigmoid", ignored_id=0)
    with pytest.raises(ModelRefused, match="do not exclude each other"):
        bring(source, tmp_path / "models", problem_type="single_label_classification")


def test_a_model_that_is_what_a_worker_runs_is_copied_to_the_bit(tmp_path: Path) -> None:
    source = tmp_path / "m.onnx"
    source.write_bytes(classifier(VOCABULARY, 3))
    imported, model = bring(source, tmp_path / "models")
    assert model == source.read_bytes()
    assert list(imported.changes) == []


def test_weights_that_lie_beside_the_file_are_in_the_member(tmp_path: Path) -> None:
    source = foreign(tmp_path / "m.onnx", ignored_id=0)
    own = [own_probabilities(source, row, np.float32) for row in ROWS]
    apart = tmp_path / "apart" / "m.onnx"
    apart.parent.mkdir()
    onnx.save(
        onnx.load(str(source)),
        str(apart),
        save_as_external_data=True,
        location="m.data",
        size_threshold=0,
    )

    _, model = bring(apart, tmp_path / "models")

    assert probabilities(model, ROWS, 3) == pytest.approx(np.stack(own), abs=1e-6)
    (apart.parent / "m.data").unlink()
    with pytest.raises(
        ModelRefused, match=r"m\.onnx keeps its weights in m\.data, and there is no"
    ):
        bring(apart, tmp_path / "others")


def test_the_size_of_an_output_is_inferred_where_the_file_does_not_say_it(tmp_path: Path) -> None:
    source = foreign(tmp_path / "m.onnx", ignored_id=0)
    graph = onnx.load(source)
    graph.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(graph, source)

    imported, model = bring(source, tmp_path / "models")

    own = [own_probabilities(source, row, np.float32) for row in ROWS]
    assert imported.labels == ("a", "b", "c")
    assert probabilities(model, ROWS, 3) == pytest.approx(np.stack(own), abs=1e-6)


def test_an_output_whose_size_nothing_tells_is_refused(tmp_path: Path) -> None:
    source = foreign(tmp_path / "m.onnx", ignored_id=0)
    graph = onnx.load(source)
    (output,) = graph.graph.output
    output.type.tensor_type.ClearField("shape")
    last = next(node for node in graph.graph.node if output.name in node.output)
    last.domain = "com.unknown"
    graph.opset_import.append(onnx.helper.make_opsetid("com.unknown", 1))
    onnx.save(graph, source)

    with pytest.raises(ModelRefused, match="does not say how many dimensions its output has"):
        bring(source, tmp_path / "models")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rows": 4}, "exactly 4 texts at once"),
        ({"kind": TensorProto.STRING}, "takes text"),
        ({"opset": 12}, "opset 13 or newer"),
        ({"labels": 2}, "has 2 outputs, and 3 labels"),
    ],
)
def test_what_can_not_be_adapted_is_refused_with_what_was_found(
    tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    source = foreign(tmp_path / "m.onnx", **{"ignored_id": 0, **wrong})
    with pytest.raises((ModelRefused, SettingsError), match=said):
        bring(source, tmp_path / "models")


def test_a_vocabulary_smaller_than_the_tokenizers_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "m.onnx"
    source.write_bytes(classifier(VOCABULARY - 1, 3))
    with pytest.raises(ModelRefused, match=f"ids up to {VOCABULARY - 1}, the tokenizer's last"):
        bring(source, tmp_path / "models")


def test_inputs_that_have_no_known_name_are_asked_for_or_said(tmp_path: Path) -> None:
    source = tmp_path / "m.onnx"
    source.write_bytes(classifier(VOCABULARY, 3, ids_name="x", extra_inputs=("y",)))
    with pytest.raises(SettingsError, match=r"--input ROLE=x"):
        bring(source, tmp_path / "models")

    imported, _ = bring(source, tmp_path / "models", inputs=("input_ids=x", "token_type_ids=y"))

    assert [change.split(",")[0] for change in imported.changes[:2]] == [
        "input_ids is x",
        "token_type_ids is y",
    ]
    with pytest.raises(SettingsError, match="has no input 'z'"):
        bring(source, tmp_path / "others", inputs=("input_ids=z",))


def _scale(ending: Ending) -> str | None:
    return "probabilities" if ending.endswith("hidden") else None


def test_a_model_with_a_mask_gets_the_padding_that_it_looks_for_where_it_is_named(
    tmp_path: Path,
) -> None:
    source = tmp_path / "m.onnx"
    foreign(source, ignored_id=9, kind=TensorProto.INT64, input_name="input_ids")
    model = onnx.load(str(source))
    model.graph.input.append(
        onnx.helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "length"])
    )
    onnx.save(model, str(source))
    with pytest.raises(ModelRefused, match=r"padding behind a text \(of id 0\).*--pad-token ID"):
        bring(source, tmp_path / "models")

    imported, made = bring(source, tmp_path / "models", pad_token="9")  # noqa: S106

    assert "padded with id 9" in imported.changes
    rows = ([4, 11, 30, 2], [7])
    own = [
        own_probabilities(foreign(tmp_path / "o.onnx", ignored_id=9), r, np.float32) for r in rows
    ]
    assert probabilities(made, rows, 3) == pytest.approx(np.stack(own), abs=1e-6)


def test_a_model_larger_than_a_member_is_refused_where_nothing_has_to_be_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "m.onnx"
    source.write_bytes(classifier(VOCABULARY, 3))

    class TooLarge:
        """As protobuf has it of weights of more than 2 GiB that lay beside the file."""

        def __init__(self) -> None:
            self._model = onnx.load(source)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._model, name)

        def ByteSize(self) -> int:  # noqa: N802 - protobuf's name
            raise EncodeError("Failed to serialize proto")

        def SerializeToString(self) -> bytes:  # noqa: N802
            raise EncodeError("Failed to serialize proto")

    monkeypatch.setattr(scoring, "read_graph", lambda _: TooLarge())

    with pytest.raises(ModelRefused, match="one file of at most 2 GiB"):
        bring(source, tmp_path / "models")
