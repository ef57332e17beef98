"""A trained encoder as ONNX, and the proof that it answers like the torch model it came from."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import onnx.utils
import onnxruntime
from optimum.exporters.onnx import onnx_export_from_model
from optimum.utils import logging as optimum_logging
from torch.jit import TracerWarning
from transformers import PreTrainedModel

from streamproc.errors import TrainingError
from streamproc.offline.training.positions import configs_with_positions
from streamproc.serving.inference.signature import HIDDEN_STATES

# The oldest with layer normalisation as one node, and an IR that every ONNX Runtime since 2023
# reads: an ensemble outlives the versions it was made with.
OPSET = 17
MAX_IR_VERSION = 10

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
# By task, where it is not the logits.
_OUTPUTS = {
    "question-answering": {"start_logits", "end_logits"},
    "feature-extraction": {"last_hidden_state"},
}


def export_encoder(model: PreTrainedModel, task: str, path: Path) -> None:
    """Write the model as an fp32 ONNX graph.

    inputs:  input_ids, attention_mask, token_type_ids, each (windows, tokens) int64, both dynamic
    outputs: logits, (windows, labels) or (windows, tokens, labels) float32; of question answering
             start_logits, end_logits, (windows, tokens) float32
    Raises TrainingError when the graph has other inputs or outputs.
    """
    save(_exported_encoder(model, task), path)


def export_prefix(model: PreTrainedModel, path: Path) -> None:
    """Write a BERT model's embeddings and layers as an fp32 ONNX graph.

    inputs:  input_ids, attention_mask, token_type_ids, each (windows, tokens) int64
    outputs: hidden_states, (windows, tokens, width) float32
    Raises TrainingError when the graph has other inputs or outputs.
    """
    graph = _exported_encoder(model, "feature-extraction")
    (output,) = graph.graph.output
    _rename(graph, output.name, HIDDEN_STATES)
    save(graph, path)


def export_behind_prefix(model: PreTrainedModel, task: str, path: Path) -> None:
    """Write what follows the embeddings of a BERT model as an fp32 ONNX graph.

    inputs:  hidden_states, (windows, tokens, width) float32, in the embeddings' place;
             attention_mask, (windows, tokens) int64
    outputs: as `export_encoder` has them
    Raises TrainingError when the graph has no such place.
    """
    graph = _exported_encoder(model, task)
    made = [name for node in graph.graph.node for name in node.output]
    embedded = [name for name in made if "/embeddings/LayerNorm/" in name][-1:]
    if not embedded:
        raise TrainingError("The export names no output of its embeddings' LayerNorm.")
    sizes = ["windows", "tokens", model.config.hidden_size]
    value = onnx.helper.make_tensor_value_info(embedded[0], onnx.TensorProto.FLOAT, sizes)
    graph.graph.value_info.append(value)
    for node in graph.graph.node:
        # Of the ids, all that is asked behind the embeddings is the shape, which the mask has too.
        if node.op_type == "Shape" and node.input[0] == "input_ids":
            node.input[0] = "attention_mask"
    outputs = [output.name for output in graph.graph.output]
    cut = onnx.utils.Extractor(graph).extract_model([*embedded, "attention_mask"], outputs)
    _rename(cut, embedded[0], HIDDEN_STATES)
    save(cut, path)


def _exported_encoder(model: PreTrainedModel, task: str) -> onnx.ModelProto:
    """Raises TrainingError when the graph has other inputs or outputs than the task's."""
    with tempfile.TemporaryDirectory() as folder:
        export(model, task, Path(folder))
        graph = onnx.load(str(Path(folder) / "model.onnx"))
    expected = (_INPUTS, _OUTPUTS.get(task, {"logits"}))
    found = ({i.name for i in graph.graph.input}, {o.name for o in graph.graph.output})
    if found != expected:
        raise TrainingError(f"The export has inputs and outputs {found}, expected {expected}.")
    return graph


def _rename(graph: onnx.ModelProto, old: str, new: str) -> None:
    """Give a value of the graph another name, wherever it is made, used, taken or given."""
    for value in (*graph.graph.input, *graph.graph.output):
        if value.name == old:
            value.name = new
    for node in graph.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def export_decoder(model: PreTrainedModel, path: Path) -> None:
    """Write a decoder with its cache as an fp32 ONNX graph.

    inputs:  input_ids, attention_mask, position_ids, past_key_values.N.key and .value
    outputs: logits, present.N.key and .value
    Raises TrainingError when the graph has other inputs or outputs.
    """
    with tempfile.TemporaryDirectory() as folder:
        export(model, "text-generation-with-past", Path(folder))
        graph = onnx.load(str(Path(folder) / "model.onnx"))
    layers = range(model.config.num_hidden_layers)
    ends = [f"{layer}.{kind}" for layer in layers for kind in ("key", "value")]
    inputs = {"input_ids", "attention_mask", "position_ids"}
    expected = (
        inputs | {f"past_key_values.{end}" for end in ends},
        {"logits"} | {f"present.{end}" for end in ends},
    )
    found = ({i.name for i in graph.graph.input}, {o.name for o in graph.graph.output})
    if found != expected:
        raise TrainingError(f"The export has inputs and outputs {found}, expected {expected}.")
    save(graph, path)


def export_encoder_decoder(model: PreTrainedModel, folder: Path) -> None:
    """Write `encoder_model.onnx` and `decoder_model_merged.onnx` into a folder, in fp32.

    encoder: input_ids, attention_mask → last_hidden_state
    decoder: input_ids, encoder_hidden_states, encoder_attention_mask, use_cache_branch,
             past_key_values.N.{decoder,encoder}.{key,value} → logits, present.N.…
    """
    with tempfile.TemporaryDirectory() as made:
        export(model, "text2text-generation-with-past", Path(made))
        for name in ("encoder_model.onnx", "decoder_model_merged.onnx"):
            save(onnx.load(str(Path(made) / name)), folder / name)


def export(model: PreTrainedModel, task: str, folder: Path) -> None:
    """What optimum writes for the model, into a folder; unchecked."""
    with _without_forebodings():
        # Its own validation is off: ours runs on real texts.
        onnx_export_from_model(
            model,
            folder,
            task=task,
            opset=OPSET,
            do_validation=False,
            custom_onnx_configs=configs_with_positions(model, task),
        )


@contextmanager
def _without_forebodings() -> Iterator[None]:
    """Nobody is told that a traced or older graph might be wrong: ours is compared with torch."""
    spoken = optimum_logging.get_verbosity()
    optimum_logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TracerWarning)
            yield
    finally:
        optimum_logging.set_verbosity(spoken)


def save(graph: onnx.ModelProto, path: Path) -> None:
    """Write a graph, with an IR version that older runtimes read too."""
    graph.ir_version = min(graph.ir_version, MAX_IR_VERSION)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, str(path))


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """An ONNX file, on the CPU, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
