"""Members as they would be without shared layers and int8: the same weights, widened."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.in_process import run_members
from benchmarks.measure import BenchmarkFailed
from benchmarks.texts import read_texts, requested
from benchmarks.widening import whole, whole_members, widened
from benchmarks.workload import build_workload, load_members
from streamproc.repository.repository import Repository
from streamproc.settings import read_settings


@pytest.mark.parametrize("per_axis", [False, True])
def test_weights_are_widened_by_their_scale_and_zero_point(per_axis: bool) -> None:
    weights = np.arange(-6, 6, dtype=np.int8).reshape(4, 3)
    scale = np.array([0.5, 0.25, 2.0], np.float32) if per_axis else np.array(0.5, np.float32)
    zero = np.array([1, 0, -2], np.int8) if per_axis else np.array(3, np.int8)
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wide"], axis=1),
            helper.make_node("MatMul", ["x", "wide"], ["y"]),
        ],
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 3])],
        [
            numpy_helper.from_array(values, name)
            for name, values in (("w", weights), ("s", scale), ("z", zero))
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = np.random.default_rng(7).normal(size=(5, 4)).astype(np.float32)
    expected = x @ ((weights.astype(np.float32) - zero) * scale)
    wide = widened(model)
    assert {node.op_type for node in wide.graph.node} == {"MatMul"}
    np.testing.assert_allclose(_run(wide, x), expected, rtol=1e-5, atol=1e-5)


def test_whole_members_answer_almost_as_the_shipped_ones() -> None:
    stored = Repository(read_settings().models_dir).open("sentiment")
    spec, members, _ = load_members(stored, "cpu")
    workload = build_workload(requested(read_texts(None), 30), spec, members)
    chunks = [own[0] for own in workload.chunks if len(own[0]) < 60]
    shipped = np.stack(run_members(members, chunks))
    wide = np.stack(run_members(whole_members(stored), chunks))
    assert (shipped.argmax(axis=-1) == wide.argmax(axis=-1)).mean() > 0.9
    assert np.corrcoef(shipped.ravel(), wide.ravel())[0, 1] > 0.97


def test_a_whole_member_has_no_quantized_numbers_left() -> None:
    stored = Repository(read_settings().models_dir).open("sentiment")
    assert stored.manifest.prefix is not None
    content = whole(stored.prefix(stored.manifest.prefix), stored.model(stored.manifest.members[0]))
    graph = onnx.load_from_string(content).graph
    assert [each.name for each in graph.output] == ["logits"]
    assert not [node for node in graph.node if "quantize" in node.op_type.lower()]
    assert not [each for each in graph.initializer if each.data_type == TensorProto.INT8]


def test_members_that_share_nothing_are_told() -> None:
    stored = Repository(read_settings().models_dir).open("generation")
    with pytest.raises(BenchmarkFailed, match="no layers that its members share"):
        whole_members(stored)


def _run(model: onnx.ModelProto, x: Any) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})[0]
