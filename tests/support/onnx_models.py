"""Small classifiers as ONNX files, right ones and wrong ones, and ensembles of them on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streamproc.testing import tokenizer_json

# What the oldest ONNX Runtime that is supported reads.
IR_VERSION, OPSET = 10, 17
ROWS_AND_TOKENS = ("rows", "tokens")


def random_table(vocabulary: int, width: int, seed: int) -> NDArray[np.float32]:
    """(vocabulary, width), multiples of 1/1024: sums of them are exact in whatever order they are
    added up, which depends on the length of a row, its padding included."""
    drawn = np.random.default_rng(seed).normal(size=(vocabulary, width))
    return (np.round(drawn * 1024) / 1024).astype(np.float32)


def classifier(
    vocabulary: int = 200,
    labels: int = 2,
    *,
    ids_name: str = "input_ids",
    ids_type: int = TensorProto.INT64,
    ids_shape: Sequence[str | int] = ROWS_AND_TOKENS,
    extra_inputs: Sequence[str] = (),
    output: str = "logits",
    output_shape: Sequence[str | int] | None = None,
    output_type: int = TensorProto.FLOAT,
    per_token: bool = False,
    batch_dependent: bool = False,
    divisor: float = 1.0,
    seed: int = 0,
) -> bytes:
    """Sums a random vector for each token that is not masked; (rows, labels).

    per_token: (rows, tokens, labels) instead; batch_dependent: less the mean of the whole batch
    divisor: what scores are divided by; 0 makes them infinite
    """
    constants = [
        numpy_helper.from_array(random_table(vocabulary, labels, seed), "table"),
        numpy_helper.from_array(np.array([2 if per_token else 1], np.int64), "axis"),
        numpy_helper.from_array(np.array([divisor], np.float32), "divisor"),
    ]
    nodes = [
        helper.make_node("Cast", [ids_name], ["ids"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "ids"], ["vectors"]),
        helper.make_node("Cast", ["attention_mask"], ["weights"], to=TensorProto.FLOAT),
    ]
    if per_token:
        nodes += [
            helper.make_node("Unsqueeze", ["weights", "axis"], ["spread"]),
            helper.make_node("Mul", ["vectors", "spread"], ["seen"]),
        ]
    else:
        nodes += [
            helper.make_node("Unsqueeze", ["weights", "axis"], ["spread"]),
            helper.make_node("MatMul", ["spread", "vectors"], ["sums"]),
            helper.make_node("Squeeze", ["sums", "axis"], ["seen"]),
        ]
    scores = "scaled"
    nodes.append(helper.make_node("Div", ["seen", "divisor"], [scores]))
    if batch_dependent:
        nodes.append(helper.make_node("ReduceMean", [scores], ["mean"], axes=[0], keepdims=1))
        nodes.append(helper.make_node("Sub", [scores, "mean"], ["centred"]))
        scores = "centred"
    nodes.append(helper.make_node("Cast", [scores], [output], to=output_type))
    rank = ("rows", "tokens", labels) if per_token else ("rows", labels)
    inputs = [
        _value(ids_name, ids_type, ids_shape),
        _value("attention_mask", TensorProto.INT64, ROWS_AND_TOKENS),
        *(_value(name, TensorProto.INT64, ROWS_AND_TOKENS) for name in extra_inputs),
    ]
    outputs = [_value(output, output_type, rank if output_shape is None else output_shape)]
    graph = helper.make_graph(nodes, "classifier", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", OPSET)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    return bytes(model.SerializeToString())


def _value(name: str, kind: int, shape: Sequence[str | int]) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def write_ensemble(
    folder: Path,
    models: Sequence[bytes],
    *,
    labels: Sequence[str] = ("negative", "positive"),
    member_labels: Sequence[str] | None = None,
    task: str = "text-classification",
    tokenizer: bytes | None = None,
    window: tuple[int, int] = (16, 4),
    sections: str = "",
    decoders: Sequence[bytes] | None = None,
) -> Path:
    """An ensemble with a manifest that fits its files; returns the manifest's path.

    folder: named as the ensemble, or NAME@VERSION
    labels: none where the task has none
    window: its tokens, and how many of them the next one sees again
    sections: others of the manifest, as TOML
    decoders: of members whose models are encoders, one each
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_json() if tokenizer is None else tokenizer
    (folder / "tokenizer.json").write_bytes(tokenizer)
    lines = [
        "format = 1",
        f'name = "{folder.name.partition("@")[0]}"',
        f'task = "{task}"',
        *([f"labels = {list(labels)}"] if labels else []),
        "[tokenizer]",
        'file = "tokenizer.json"',
        f'sha256 = "{_sha256(tokenizer)}"',
        "[window]",
        f"max_tokens = {window[0]}",
        f"overlap_tokens = {window[1]}",
        sections,
    ]
    for number, model in enumerate(models):
        (folder / f"m{number}.onnx").write_bytes(model)
        lines += [
            "[[members]]",
            f'name = "m{number}"',
            'version = "1"',
            f'file = "m{number}.onnx"',
            f'sha256 = "{_sha256(model)}"',
            *([f"labels = {list(member_labels or labels)}"] if labels else []),
        ]
        if decoders is not None:
            decoder = decoders[number]
            (folder / f"m{number}-decoder.onnx").write_bytes(decoder)
            digest = _sha256(decoder)
            lines.append(f'decoder = {{file = "m{number}-decoder.onnx", sha256 = "{digest}"}}')
    manifest = folder / "manifest.toml"
    manifest.write_text("\n".join(lines))
    return manifest


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
