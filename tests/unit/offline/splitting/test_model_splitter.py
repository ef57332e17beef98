from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamproc.errors import ModelRefused
from streamproc.offline.splitting.cuts import choose_cuts
from streamproc.offline.splitting.model_splitter import WrittenStage, split_model
from tests.support.causal_graphs import causal
from tests.support.layered_graphs import VOCABULARY, Layered
from tests.support.onnx_models import IR_VERSION, OPSET, classifier
from tests.support.staged_models import batch, cut, scores, staged, whole


def graph_of(stage: WrittenStage) -> onnx.GraphProto:
    return onnx.load(str(stage.graph), load_external_data=False).graph


def names(values: Any) -> list[str]:
    return [value.name for value in values]


def test_a_stage_is_a_valid_model_of_its_own_with_its_weights_beside_it(tmp_path: Path) -> None:
    stages = cut(Layered().model(), 3, tmp_path)

    assert [stage.graph.name for stage in stages] == [f"stage-{n}.onnx" for n in (1, 2, 3)]
    for stage in stages:
        onnx.checker.check_model(str(stage.graph), full_check=True)
        assert stage.weights.stat().st_size >= stage.resident_bytes > 0
        assert stage.graph.stat().st_size < 4096


def test_between_layers_only_the_state_is_handed_on_and_the_mask_is_made_anew(
    tmp_path: Path,
) -> None:
    first, second = cut(Layered(widths=(256, 256)).model(), 2, tmp_path)

    (handed_on,) = first.boundary_tensors
    assert handed_on == "l0.state"
    assert names(graph_of(first).output) == [handed_on]
    assert names(graph_of(second).input) == ["attention_mask", handed_on]
    assert "mask" in {name for node in graph_of(second).node for name in node.output}


def test_weights_that_two_stages_share_are_in_both(tmp_path: Path) -> None:
    stages = cut(Layered(widths=(48,) * 3, tied=True, hidden=48).model(), 3, tmp_path)

    holding = [stage for stage in stages if "shared.in" in names(graph_of(stage).initializer)]
    assert len(holding) >= 2


def test_weights_stored_in_eight_bits_count_as_what_they_are_once_loaded(tmp_path: Path) -> None:
    plain = cut(Layered().model(), 3, tmp_path / "plain")
    small = cut(Layered(stored_in_eight_bits=True).model(), 3, tmp_path / "small")

    assert [stage.resident_bytes for stage in small] == [stage.resident_bytes for stage in plain]
    assert sum(s.weights.stat().st_size for s in small) < sum(
        s.weights.stat().st_size for s in plain
    )


def test_the_same_model_is_cut_into_the_same_bytes(tmp_path: Path) -> None:
    one, other = (cut(Layered().model(), 3, tmp_path / name) for name in "ab")

    for first, second in zip(one, other, strict=True):
        assert first.graph.read_bytes() == second.graph.read_bytes()
        assert first.weights.read_bytes() == second.weights.read_bytes()


def test_a_model_whose_weights_are_in_files_beside_it_is_cut_as_well(tmp_path: Path) -> None:
    model = Layered().model()
    path = tmp_path / "apart" / "model.onnx"
    path.parent.mkdir()
    onnx.save(
        onnx.load_from_string(model), str(path), save_as_external_data=True, location="model.data"
    )

    stages = split_model(path, 3, tmp_path / "stages")

    feeds = batch(3, 7, VOCABULARY)
    np.testing.assert_array_equal(scores(staged(stages), feeds), scores(whole(model), feeds))


def test_weights_that_end_too_early_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(
        onnx.load_from_string(Layered().model()),
        str(path),
        save_as_external_data=True,
        location="model.data",
    )
    data = tmp_path / "model.data"
    data.write_bytes(data.read_bytes()[:-100])

    with pytest.raises(ModelRefused, match=r"model\.data ends 100 bytes before the end of"):
        split_model(path, 3, tmp_path / "stages")


def test_weights_outside_of_the_models_folder_are_refused(tmp_path: Path) -> None:
    model = onnx.load_from_string(Layered().model())
    onnx.save(model, str(tmp_path / "model.onnx"), save_as_external_data=True, location="w.data")
    graph = onnx.load(str(tmp_path / "model.onnx"), load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../w.data"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "model.onnx").write_bytes(graph.SerializeToString())

    with pytest.raises(ModelRefused, match="lead out of"):
        split_model(tmp_path / "in" / "model.onnx", 2, tmp_path / "stages")


def test_a_large_constant_is_a_weight(tmp_path: Path) -> None:
    graph = onnx.load_from_string(Layered(widths=(64, 64)).model())
    for tensor in [t for t in graph.graph.initializer if t.name.endswith((".in", ".out"))]:
        graph.graph.initializer.remove(tensor)
        node = helper.make_node("Constant", [], [tensor.name], value=tensor)
        graph.graph.node.insert(0, node)
    model = graph.SerializeToString()

    stages = cut(model, 2, tmp_path)

    feeds = batch(2, 5, VOCABULARY)
    np.testing.assert_array_equal(scores(staged(stages), feeds), scores(whole(model), feeds))
    assert all(stage.graph.stat().st_size < 4096 for stage in stages)


def test_an_input_that_a_later_stage_alone_takes_goes_to_it(tmp_path: Path) -> None:
    graph = onnx.load_from_string(Layered().model())
    ids = helper.make_tensor_value_info("token_type_ids", TensorProto.INT64, ("rows", "tokens"))
    graph.graph.input.append(ids)
    graph.graph.node[-1].output[0] = "early"
    graph.graph.node.extend(
        [
            helper.make_node("Cast", ["token_type_ids"], ["types"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMax", ["types"], ["type"], axes=[1], keepdims=1),
            helper.make_node("Add", ["early", "type"], ["logits"]),
        ]
    )
    model = graph.SerializeToString()

    stages = cut(model, 3, tmp_path)

    taken = [names(graph_of(stage).input) for stage in stages]
    assert ["token_type_ids" in own for own in taken] == [False, False, True]
    feeds = {**batch(2, 5, VOCABULARY), "token_type_ids": np.ones((2, 5), np.int64)}
    np.testing.assert_array_equal(scores(staged(stages), feeds), scores(whole(model), feeds))


def test_more_stages_than_there_are_places_to_cut_at_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"can be cut into 9 stages at most"):
        cut(Layered().model(), 10, tmp_path)


def test_a_model_of_one_matrix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="can be cut nowhere"):
        cut(classifier(1000), 2, tmp_path)


def test_a_merged_decoder_is_refused_since_its_weights_are_in_branches(tmp_path: Path) -> None:
    layers = onnx.load_from_string(Layered().model()).graph
    inputs = [*layers.input, helper.make_tensor_value_info("cached", TensorProto.BOOL, [])]
    branch = onnx.GraphProto()
    branch.CopyFrom(layers)
    del branch.input[:]
    node = helper.make_node("If", ["cached"], ["out"], then_branch=branch, else_branch=branch)
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, ("rows", 2))
    graph = helper.make_graph([node], "merged", inputs, [output])
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)

    with pytest.raises(ModelRefused, match=r"cut nowhere: .*; weights within If \(as in a merged"):
        cut(model.SerializeToString(), 2, tmp_path)


def test_a_decoder_with_a_cache_is_cut_and_its_cache_is_where_it_is_used(tmp_path: Path) -> None:
    stages = [graph_of(stage) for stage in cut(causal(200), 3, tmp_path)]

    ends = ["0.key", "0.value"]
    taken = [[n for n in names(stage.input) if n.startswith("past")] for stage in stages]
    given = [[n for n in names(stage.output) if n.startswith("present")] for stage in stages]
    assert [own for own in taken if own] == [[f"past_key_values.{end}" for end in ends]]
    assert [own for own in given if own] == [[f"present.{end}" for end in ends]]
    assert [bool(own) for own in taken] == [bool(own) for own in given]


def test_a_type_that_onnx_can_not_tell_is_handed_on_nowhere(tmp_path: Path) -> None:
    graph = onnx.load_from_string(Layered(widths=(64,) * 3).model())
    for node in graph.graph.node:
        if node.op_type == "Relu":
            node.op_type, node.domain = "Gelu", "com.microsoft"
    graph.opset_import.append(helper.make_opsetid("com.microsoft", 1))

    with pytest.raises(
        ModelRefused, match=r"can be cut into \d stages at most: .* a type that ONNX"
    ):
        cut(graph.SerializeToString(), 9, tmp_path)


@pytest.mark.parametrize("content", [b"not a model", b""])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelRefused, match=r"whole\.onnx: "):
        cut(content, 2, tmp_path)


def test_of_places_that_are_as_even_the_one_that_hands_on_least_is_chosen() -> None:
    weights = [{"a": 10}, {}, {}, {"b": 10}, {"c": 2}]

    assert choose_cuts(weights, [0, 9, 3, 5, 1], 2) == [2]
    assert choose_cuts(weights, [0, 9, None, 5, 1], 2) == [3]
    assert choose_cuts(weights, [0, None, None, None, 1], 2) == [4]


def test_random_numbers_are_drawn_once(tmp_path: Path) -> None:
    graph = onnx.load_from_string(Layered(widths=(64, 64)).model())
    graph.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 32], np.int64), "shape"))
    noise = helper.make_node("RandomNormal", [], ["noise"], shape=[1, 1, 32], seed=1.0)
    graph.graph.node.insert(0, noise)
    for node in graph.graph.node:
        if node.output[0] in {"l0.state", "l1.state"}:
            node.input[1] = "noise"

    first, second = cut(graph.SerializeToString(), 2, tmp_path)

    assert "noise" in first.boundary_tensors
    assert "noise" in names(graph_of(second).input)
