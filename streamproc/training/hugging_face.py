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
from streamproc.training.decoder import OnnxDecoder, check_decoder
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
            torch_dtype=torch.float32,
            # What ONNX computes, rather than kernels of one machine.
            attn_implementation="eager",
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
    export(model, optimum_task, target)
    with torch.inference_mode():
        _CHECKS.get(task, _check_encoder)(model, target)
    for file in ("config.json", "generation_config.json", "tokenizer.json"):
        if (source / file).is_file():
            shutil.copyfile(source / file, target / file)


def _check_encoder(model: PreTrainedModel, folder: Path) -> None:
    session = open_session(folder / "model.onnx")
    ids = _made_up(model)
    mask = np.ones_like(ids)
    mask[0, _TOKENS // 2 :] = 0
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    names = [given.name for given in session.get_inputs()]
    if strange := set(names) - feeds.keys():
        raise TrainingError(f"The export takes {', '.join(strange)}, which no worker gives it.")
    feeds = {name: feeds[name] for name in names}
    said = model(**{name: torch.from_numpy(value) for name, value in feeds.items()})
    outputs = [given.name for given in session.get_outputs()]
    for name, found in zip(outputs, session.run(outputs, feeds), strict=True):
        apart = np.abs(found - said[name].numpy())
        # What stands at padding is nobody's answer.
        seen = mask.reshape(*mask.shape, *[1] * (apart.ndim - 2)) if _per_token(apart) else 1
        _require_small(float((apart * seen).max()), name)


def _check_decoder(model: PreTrainedModel, folder: Path) -> None:
    ids = _made_up(model)
    expected = model(input_ids=torch.from_numpy(ids)).logits.numpy()
    check_decoder(OnnxDecoder(folder / "model.onnx"), ids, expected)


def _check_encoder_decoder(model: PreTrainedModel, folder: Path) -> None:
    source, written = _made_up(model), _made_up(model, seed=1)
    mask = np.ones_like(source)
    batch = PairBatch(source, mask, written, written)
    expected = model(
        input_ids=torch.from_numpy(source),
        attention_mask=torch.from_numpy(mask),
        decoder_input_ids=torch.from_numpy(written),
    ).logits.numpy()
    graphs = [folder / "encoder_model.onnx", folder / "decoder_model_merged.onnx"]
    check_encoder_decoder(OnnxEncoderDecoder(*graphs), batch, expected)


_CHECKS = {"text-generation": _check_decoder, "translation": _check_encoder_decoder}


def _made_up(model: PreTrainedModel, seed: int = 0) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(3, tokens) ids of the model's vocabulary."""
    vocabulary = model.config.get_text_config().vocab_size
    return np.random.default_rng(seed).integers(0, vocabulary, size=(3, _TOKENS))


def _per_token(scores: np.ndarray[Any, Any]) -> bool:
    return scores.ndim > 1 and bool(scores.shape[1] == _TOKENS)


def _require_small(difference: float, what: str) -> None:
    if difference > LARGEST_EXPORT_DIFFERENCE:
        raise TrainingError(
            f"{what} of the exported model differ from torch's by {difference:.2g}, more than "
            f"{LARGEST_EXPORT_DIFFERENCE:.0e}. Is the exporter's version the pinned one?"
        )
