"""The weights that are read out of an exported BERT are those that it was exported with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optimum")

import onnx
import torch
from onnx import numpy_helper
from transformers import BertConfig, BertModel

from streamproc.errors import TrainingError
from streamproc.offline.training.exporting import export_prefix
from streamproc.offline.training.onnx_weights import bert_weights

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def model() -> BertModel:
    """With biases that differ, as those of a trained model do: of equal ones torch exports one."""
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=32,
    )
    model = BertModel(config, add_pooling_layer=False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


@pytest.fixture(scope="module")
def exported(model: BertModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "bert.onnx"
    export_prefix(model, path)
    return path


def changed(exported: Path, to: Path, change: object) -> Path:
    model = onnx.load(str(exported))
    assert callable(change)
    change(model.graph)
    onnx.save(model, str(to))
    return to


def test_every_weight_is_read_under_its_name_and_the_right_way_round(
    model: BertModel, exported: Path
) -> None:
    read = bert_weights(exported)

    assert read.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(read[name], parameter.detach().numpy(), err_msg=name)


def test_a_weight_that_nothing_names_is_refused(exported: Path, tmp_path: Path) -> None:
    def rename_a_bias(graph: onnx.GraphProto) -> None:
        (bias,) = (one for one in graph.initializer if one.name.endswith("1.output.dense.bias"))
        for node in graph.node:
            node.input[:] = ["other" if name == bias.name else name for name in node.input]
        bias.name = "other"

    with pytest.raises(TrainingError, match="nothing tells which weight onnx::MatMul_"):
        bert_weights(changed(exported, tmp_path / "nameless.onnx", rename_a_bias))


def test_weights_of_another_precision_are_refused(exported: Path, tmp_path: Path) -> None:
    def halve(graph: onnx.GraphProto) -> None:
        first = graph.initializer[0]
        half = numpy_helper.to_array(first).astype(np.float16)
        first.CopyFrom(numpy_helper.from_array(half, first.name))

    with pytest.raises(TrainingError, match="is not of fp32"):
        bert_weights(changed(exported, tmp_path / "half.onnx", halve))


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("a text")
    with pytest.raises(TrainingError, match=r"text\.onnx: not an ONNX model"):
        bert_weights(path)
