"""A Hugging Face folder as ONNX, and the proof that it answers like the torch model in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from streamproc.errors import TrainingError
from streamproc.training.decoder import Ids, OnnxDecoder, check_decoder
from streamproc.training.encoder_decoder import OnnxEncoderDecoder, check_encoder_decoder
from streamproc.training.exporting import LARGEST_EXPORT_DIFFERENCE, export, open_session
from streamproc.training.pair_batches import PairBatch

# The model's class and what optimum calls the task.
_KINDS: dict[str, tuple[Any, str]] = {
    "text-classification": (AutoModelForSequenceClassification, "text-classification"),
    "token-classification": (AutoModelForTokenClassification, "token-classification"),
    "question-answering": (AutoModelForQuestionAnswering, "question-answering"),
    "text-generation": (AutoModelForCausalLM, "text-generation-with-past"),
    "translation": (AutoModelForSeq2SeqLM, "text2text-generation-with-past"),
}
_TOKENS = 24


def export_folder(source: Path, task: str, target: Path) -> None:
    """Write a model of transformers as ONNX, in fp32, and compare the two on made-up texts.

    source: with config.json and *.safetensors; nothing in it is run, pickles are not opened
    target: gets model.onnx, or encoder_model.onnx and decoder_model_merged.onnx
    Raises TrainingError where it can't be loaded for that task, or where ONNX and torch disagree.
    """
    kind, optimum_task = _KINDS[task]
    try:
        config = AutoConfig.from_pretrained(source, local_files_only=True)
        model, loading = kind.from_pretrained(
            source,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(f"{source}: not a model for {task}: {error}") from None
    if loading["missing_keys"]:
        raise TrainingError(
            f"{source}: has no weights for {', '.join(sorted(loading['missing_keys'])[:4])}: is "
            f"it a model for {task}, and trained for it?"
        )
    model.eval()
    # What torch says comes first: the export leaves a model changed.
    check = _CHECKS.get(task, _EncoderCheck)(model)
    export(model, optimum_task, target)
    check.run(target)
    for file in ("config.json", "generation_config.json", "tokenizer.json"):
        if (source / file).is_file():
            shutil.copyfile(source / file, target / file)


class _EncoderCheck:
    """Holds what torch says of made-up texts, and compares what ONNX does; so do the others."""

    def __init__(self, model: PreTrainedModel) -> None:
        ids = _made_up(model)
        mask = np.ones_like(ids)
        mask[0, _TOKENS // 2 :] = 0
        # Token types are all 0, as models have it that are handed none.
        self._feeds = {"input_ids": ids, "attention_mask": mask}
        with torch.inference_mode():
            said = model(**{name: torch.from_numpy(value) for name, value in self._feeds.items()})
        self._said = {name: value.numpy() for name, value in said.items()}
        self._feeds["token_type_ids"] = np.zeros_like(ids)

    def run(self, folder: Path) -> None:
        """Raises TrainingError where the graphs in the folder say something else."""
        session = open_session(folder / "model.onnx")
        names = [given.name for given in session.get_inputs()]
        if strange := sorted(set(names) - self._feeds.keys()):
            raise TrainingError(f"The export takes {', '.join(strange)}, which no worker gives it.")
        feeds = {name: self._feeds[name] for name in names}
        outputs = [given.name for given in session.get_outputs()]
        mask = self._feeds["attention_mask"]
        for name, found in zip(outputs, session.run(outputs, feeds), strict=True):
            apart = np.abs(found - self._said[name])
            if apart.shape[1:2] == (_TOKENS,):
                # What stands at padding is nobody's answer.
                apart = apart * mask.reshape(*mask.shape, *[1] * (apart.ndim - 2))
            if (difference := float(apart.max())) > LARGEST_EXPORT_DIFFERENCE:
                raise TrainingError(
                    f"{name} of the exported model differ from torch's by {difference:.2g}, more "
                    f"than {LARGEST_EXPORT_DIFFERENCE:.0e}. Is the exporter's version the pinned "
                    "one?"
                )


class _DecoderCheck:
    def __init__(self, model: PreTrainedModel) -> None:
        self._ids = _made_up(model)
        with torch.inference_mode():
            self._said = model(input_ids=torch.from_numpy(self._ids)).logits.numpy()

    def run(self, folder: Path) -> None:
        check_decoder(OnnxDecoder(folder / "model.onnx"), self._ids, self._said)


class _EncoderDecoderCheck:
    def __init__(self, model: PreTrainedModel) -> None:
        source, written = _made_up(model), _made_up(model, seed=1)
        mask = np.ones_like(source)
        self._batch = PairBatch(source, mask, written, written)
        with torch.inference_mode():
            self._said = model(
                input_ids=torch.from_numpy(source),
                attention_mask=torch.from_numpy(mask),
                decoder_input_ids=torch.from_numpy(written),
            ).logits.numpy()

    def run(self, folder: Path) -> None:
        graphs = (folder / "encoder_model.onnx", folder / "decoder_model_merged.onnx")
        check_encoder_decoder(OnnxEncoderDecoder(*graphs), self._batch, self._said)


_CHECKS: dict[str, type[_EncoderCheck | _DecoderCheck | _EncoderDecoderCheck]] = {
    "text-generation": _DecoderCheck,
    "translation": _EncoderDecoderCheck,
}


def _made_up(model: PreTrainedModel, seed: int = 0) -> Ids:
    """(3, tokens) ids of the model's vocabulary."""
    vocabulary = model.config.get_text_config().vocab_size
    return np.random.default_rng(seed).integers(0, vocabulary, size=(3, _TOKENS))
