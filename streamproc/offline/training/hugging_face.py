"""A Hugging Face folder as ONNX, and the proof that it answers like the torch model in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

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

from streamproc.errors import OperatorError, TrainingError
from streamproc.offline.training.export_checks import check_for
from streamproc.offline.training.exporting import export
from streamproc.offline.training.pooling import pool_by_mask

# The model's class and what optimum calls the task.
_KINDS: dict[str, tuple[Any, str]] = {
    "text-classification": (AutoModelForSequenceClassification, "text-classification"),
    "token-classification": (AutoModelForTokenClassification, "token-classification"),
    "question-answering": (AutoModelForQuestionAnswering, "question-answering"),
    "text-generation": (AutoModelForCausalLM, "text-generation-with-past"),
    "translation": (AutoModelForSeq2SeqLM, "text2text-generation-with-past"),
    "summarization": (AutoModelForSeq2SeqLM, "text2text-generation-with-past"),
}


def export_folder(source: Path, task: str, target: Path) -> None:
    """Write a model of transformers as ONNX, in fp32, and compare the two on made-up texts.

    source: with config.json and *.safetensors; nothing in it is run, pickles are not opened
    target: gets model.onnx, or encoder_model.onnx and decoder_model_merged.onnx
    Raises TrainingError where it can't be loaded or exported for that task, or where ONNX and
    torch disagree.
    """
    model = _loaded(source, task)
    try:
        # What torch says comes first: the export leaves a model changed.
        check = check_for(model, task)
        if task == "text-classification":
            pool_by_mask(model)
        export(model, _KINDS[task][1], target)
        check.run(target)
    except OperatorError:
        raise
    except Exception as error:
        # Of torch, optimum and ONNX Runtime, whose errors share no base and speak of their code.
        raise TrainingError(
            f"{source}: a {model.config.model_type} can't be exported for {task} here: "
            f"{type(error).__name__}: {_first_line(error)}. Export it elsewhere (optimum-cli "
            "export onnx, or torch.onnx.export with input_ids and attention_mask) and import the "
            "ONNX file"
        ) from error
    for file in ("config.json", "generation_config.json", "tokenizer.json"):
        if (source / file).is_file():
            shutil.copyfile(source / file, target / file)


def _loaded(source: Path, task: str) -> PreTrainedModel:
    kind, _ = _KINDS[task]
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
    except Exception as error:  # transformers, safetensors and torch share no base
        raise TrainingError(f"{source}: not a model for {task}: {_first_line(error)}") from error
    if loading["missing_keys"]:
        raise TrainingError(
            f"{source}: has no weights for {', '.join(sorted(loading['missing_keys'])[:4])}: is "
            f"it a model for {task}, and trained for it?"
        )
    return model.eval()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else "no reason given"
