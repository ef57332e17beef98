"""Models as other frameworks leave them: without a mask, of one length, ending in a softmax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from streamproc.errors import SettingsError
from streamproc.offline.importing.import_options import ImportOptions
from streamproc.offline.importing.imports import Imported, import_model
from streamproc.repository.repository import Repository
from streamproc.repository.versioned_name import VersionedName
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.session import OnnxSession, new_call
from streamproc.serving.inference.signature import Signature
from streamproc.settings import read_settings
from streamproc.testing import build_tokenizer, tokenizer_json
from streamproc.types import FloatArray, Int64Array
from streamproc.worker import verify_ensemble
from tests.support.onnx_models import IR_VERSION, random_table

VOCABULARY = build_tokenizer().vocabulary_size
Ending = Literal["logits", "softmax", "sigmoid", "softmax hidden", "sigmoid hidden"]


def foreign(
    path: Path,
    *,
    labels: int = 3,
    ending: Ending = "softmax",
    kind: int = TensorProto.FLOAT,
    length: int | None = None,
    rows: int | None = None,
    ignored_id: int | None = None,
    input_name: str = "keras_tensor",
    opset: int = 17,
) -> Path:
    """Sums a vector for each token, by its place where the length is fixed, padding included.

    ending: what is behind the sum; hidden: and behind that a node that leaves it as it is
    ignored_id: a token that counts nothing, as with mask_zero
    """
    table = random_table(VOCABULARY, labels, seed=4)
    if ignored_id is not None:
        table[ignored_id] = 0
    constants = [numpy_helper.from_array(table, "table")]
    nodes = [
        helper.make_node("Cast", [input_name], ["ids"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "ids"], ["vectors"]),
    ]
    summed = "vectors"
    if length is not None:
        places = (np.arange(length, dtype=np.float32)[:, None] + 1) / length
        constants.append(numpy_helper.from_array(places, "places"))
        nodes.append(helper.make_node("Mul", ["vectors", "places"], ["placed"]))
        summed = "placed"
    constants.append(numpy_helper.from_array(np.array([1], np.int64), "axis"))
    nodes.append(helper.make_node("ReduceSum", [summed, "axis"], ["sums"], keepdims=0))
    last = "sums"
    if ending != "logits":
        operator = "Softmax" if ending.startswith("softmax") else "Sigmoid"
        nodes.append(helper.make_node(operator, [last], ["ended"]))
        last = "ended"
    if ending.endswith("hidden"):
        constants.append(numpy_helper.from_array(np.zeros(1, np.float32), "zero"))
        nodes.append(helper.make_node("Add", [last, "zero"], ["left"]))
        last = "left"
    nodes.append(helper.make_node("Identity", [last], ["dense:0"]))
    sizes = [rows or "batch", length or "length"]
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info(input_name, kind, sizes)],
        [helper.make_tensor_value_info("dense:0", TensorProto.FLOAT, ["batch", labels])],
        constants,
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="keras"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def own_probabilities(path: Path, ids: Sequence[int], kind: type[Any]) -> FloatArray:
    """What the model itself says of one row, as probabilities of as many labels as it has."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    (scores,) = session.run(None, {given.name: np.array([ids], kind)})
    found = np.asarray(scores[0], np.float64)
    return found if len(found) > 1 else np.array([1 - found[0], found[0]])


class Row:
    """One sequence, as a batch takes it."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids: Int64Array = np.array(ids, np.int64)

    @property
    def type_ids(self) -> Int64Array:
        return np.zeros_like(self.ids)


def probabilities(model: bytes, rows: Sequence[Sequence[int]], labels: int) -> FloatArray:
    """(rows, labels), of an imported model as a worker runs it."""
    session = OnnxSession("member", model, Signature(("logits",), labels), Provider(CPU))
    scores = np.stack(session.run(Batch.pad([Row(ids) for ids in rows]), new_call()))
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


class Said:
    """Somebody who answers, by the first word of the flag they could have given."""

    def __init__(self, answers: Mapping[str, str] | None = None) -> None:
        self._answers = dict(answers or {})
        self.asked: list[str] = []

    def ask(self, question: str, flag: str) -> str:
        self.asked.append(flag)
        if (answer := self._answers.get(flag.split(maxsplit=1)[0])) is None:
            raise SettingsError(f"{question} Say {flag}.")
        return answer


def bring(
    source: Path,
    models: Path,
    prompter: Said | None = None,
    *,
    ensemble: str = "tone",
    **options: Any,
) -> tuple[Imported, bytes]:
    """Import a text classifier, tried out as a worker does; returns what came of it, and its file.

    Labels are a, b, c unless said, the tokenizer the small one of streamproc.testing.
    """
    tokenizer = models.parent / "tokenizer.json"
    tokenizer.write_bytes(tokenizer_json())
    known = VersionedName.read(ensemble)
    new = known is not None and not Repository(models).folder(ensemble).exists()
    said = {
        "task": "text-classification",
        "labels": ("a", "b", "c"),
        "tokenizer": tokenizer,
        **({"window": 16} if new and "padded_to" not in options else {}),
        **options,
    }
    imported = import_model(
        ImportOptions(source, ensemble, models, **said),
        prompter or Said(),
        export=_no_export,
        verify=_verify,
    )
    (file,) = imported.files
    return imported, (imported.manifest.parent / file).read_bytes()


def _verify(root: Path, name: str) -> None:
    verify_ensemble(read_settings(models_dir=str(root), device="cpu", threads="1"), name)


def _no_export(source: Path, task: str, target: Path) -> None:
    raise AssertionError(f"{source} needs no export for {task} to {target}")
