"""What torch says of made-up texts, held against what the exported graphs say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from streamproc.errors import TrainingError
from streamproc.offline.training.decoder import OnnxDecoder, check_decoder
from streamproc.offline.training.encoder_decoder import OnnxEncoderDecoder, check_encoder_decoder
from streamproc.offline.training.exporting import open_session
from streamproc.offline.training.pair_batches import PairBatch
from streamproc.serving.verification.parity import require_parity
from streamproc.types import Int64Array

Floats = NDArray[np.floating[Any]]
_LENGTHS = (24, 13, 7)
_PADDING = (
    "Either the exporter's version is not the pinned one, or what the model makes of a text hangs "
    "on the padding beside it in a batch"
)
_SCORES = ("logits", "start_logits", "end_logits")


class ExportCheck(Protocol):
    """Holds what torch says of made-up texts; made before the export, which changes a model."""

    def run(self, folder: Path) -> None:
        """Raises TrainingError where the graphs in the folder say something else."""
        ...


def check_for(model: PreTrainedModel, task: str) -> ExportCheck:
    """The check of a task's models."""
    if task == "text-generation":
        return _DecoderCheck(model)
    if task in {"translation", "summarization"}:
        return _EncoderDecoderCheck(model)
    return _EncoderCheck(model)


class _EncoderCheck:
    """Texts of several lengths: each alone in torch, as a pipeline runs it, and a batch in ONNX."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._rows = [row[:length] for row, length in zip(_made_up(model), _LENGTHS, strict=True)]
        end = model.config.get_text_config().eos_token_id
        if isinstance(end, int):
            for row in self._rows:
                # Some read the end of a text, as BART does, and want one.
                row[row == end] = (end + 1) % _vocabulary(model)
                row[-1] = end
        self._said = [
            # Token types are all 0, as models have it that are handed none.
            _said(model, input_ids=row[None], attention_mask=np.ones_like(row[None]))
            for row in self._rows
        ]

    def run(self, folder: Path) -> None:
        session = open_session(folder / "model.onnx")
        names = [given.name for given in session.get_inputs()]
        ids = np.zeros((len(self._rows), max(_LENGTHS)), np.int64)
        mask = np.zeros_like(ids)
        for number, row in enumerate(self._rows):
            ids[number, : len(row)], mask[number, : len(row)] = row, 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        if strange := sorted(set(names) - feeds.keys()):
            raise TrainingError(f"The export takes {', '.join(strange)}, which no worker gives it.")
        outputs = [given.name for given in session.get_outputs() if given.name in _SCORES]
        found = session.run(outputs, {name: feeds[name] for name in names})
        for name, batch in zip(outputs, found, strict=True):
            for row, said in zip(batch, self._said, strict=True):
                # What stands at padding is nobody's answer.
                own = row[tuple(slice(size) for size in said[name].right.shape[1:])]
                right, own_error = said[name].right, said[name].own_error
                difference = float(np.abs(own - right[0]).max())
                to = "torch's of the same text alone"
                require_parity(name, difference, right, own_error, to=to, hint=_PADDING)


class _DecoderCheck:
    def __init__(self, model: PreTrainedModel) -> None:
        self._ids = _made_up(model)
        self._said = _said(model, input_ids=self._ids)["logits"]

    def run(self, folder: Path) -> None:
        decoder = OnnxDecoder(folder / "model.onnx")
        check_decoder(decoder, self._ids, self._said.right, self._said.own_error)


class _EncoderDecoderCheck:
    def __init__(self, model: PreTrainedModel) -> None:
        source, written = _made_up(model), _made_up(model, seed=1)
        mask = np.ones_like(source)
        self._batch = PairBatch(source, mask, written, written)
        self._said = _said(model, input_ids=source, attention_mask=mask, decoder_input_ids=written)[
            "logits"
        ]

    def run(self, folder: Path) -> None:
        graphs = (folder / "encoder_model.onnx", folder / "decoder_model_merged.onnx")
        model = OnnxEncoderDecoder(*graphs)
        check_encoder_decoder(model, self._batch, self._said.right, self._said.own_error)


@dataclass(frozen=True, slots=True)
class _Said:
    """What torch says, in float64 where the model can compute so, and how far its float32 is."""

    right: Floats
    own_error: float | None


def _said(model: PreTrainedModel, **feeds: Int64Array) -> Mapping[str, _Said]:
    in_float32 = _scores(model, feeds)
    try:
        # There and back changes no weight: every float32 is a float64.
        in_float64 = _scores(model.double(), feeds)
    except RuntimeError:  # as where a layer has float32 written into its code
        return {name: _Said(found, None) for name, found in in_float32.items()}
    finally:
        model.float()
    return {
        name: _Said(right, float(np.abs(right - in_float32[name]).max()))
        for name, right in in_float64.items()
    }


def _scores(model: PreTrainedModel, feeds: Mapping[str, Int64Array]) -> dict[str, Floats]:
    with torch.inference_mode():
        said = model(**{name: torch.from_numpy(ids) for name, ids in feeds.items()})
    return {name: said[name].numpy() for name in _SCORES if name in said}


def _made_up(model: PreTrainedModel, seed: int = 0) -> Int64Array:
    """(3, tokens) ids of the model's vocabulary, no padding among them."""
    drawn = np.random.default_rng(seed).integers(
        0, _vocabulary(model), size=(len(_LENGTHS), max(_LENGTHS))
    )
    padding = model.config.get_text_config().pad_token_id
    drawn[drawn == padding] = ((padding or 0) + 1) % _vocabulary(model)
    return drawn


def _vocabulary(model: PreTrainedModel) -> int:
    return int(model.config.get_text_config().vocab_size)
