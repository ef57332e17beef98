"""Small models that answer questions, for comparisons: their answers are anything but right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.alone import copy_with_one_member, encoder_for_transformers, in_stages
from tests.support.onnx_models import write_ensemble
from tests.support.texts import sample_texts

ENSEMBLE = "answers"
Question = tuple[str, str]
"""A question and its context."""


@dataclass(frozen=True, slots=True)
class AnswerModel:
    """One exported model, as transformers reads it and as streamproc does.

    folder: model.onnx, config.json and tokenizer files; models: a repository with the ensemble
    tokenizer: of transformers, with the window's length
    """

    folder: Path
    models: Path
    tokenizer: Any
    overlap_tokens: int
    ensemble: str = ENSEMBLE


def shipped_model(place: Path, ensemble: str, member: int) -> AnswerModel:
    """A member of an ensemble in the models folder, alone."""
    folder, models = place / "exported", place / "models"
    stored, chosen = copy_with_one_member(ensemble, member, models)
    architecture = "BertForQuestionAnswering"
    tokenizer = encoder_for_transformers(stored, chosen, architecture, folder)
    overlap_tokens = stored.manifest.window.overlap_tokens
    return AnswerModel(folder, models, tokenizer, overlap_tokens, ensemble)


def bert(place: Path, max_tokens: int = 384, overlap_tokens: int = 128) -> AnswerModel:
    """MiniLM's first two layers and its tokenizer, with token types."""
    import torch
    from transformers import AutoTokenizer, BertForQuestionAnswering

    from streamproc.offline.training.base import find_base

    torch.manual_seed(4)
    base = find_base().folder
    tokenizer = AutoTokenizer.from_pretrained(base, model_max_length=max_tokens)
    model = BertForQuestionAnswering.from_pretrained(base, num_hidden_layers=2)
    _draw_head(model, tokenizer, null_logit=16)
    return _exported(model, tokenizer, place, overlap_tokens)


def roberta(place: Path, max_tokens: int = 128, overlap_tokens: int = 64) -> AnswerModel:
    """Random weights and a small byte-level tokenizer: no token types, one character in several
    tokens, `<s> question </s></s> context </s>`."""
    import torch
    from tokenizers import ByteLevelBPETokenizer, Tokenizer
    from tokenizers.processors import RobertaProcessing
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForQuestionAnswering

    library = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    library.train_from_iterator(sample_texts(), 800, special_tokens=special, show_progress=False)
    library.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(library.to_str()),
        model_max_length=max_tokens,
        cls_token="<s>",  # noqa: S106 - no password
        pad_token="<pad>",  # noqa: S106
        model_input_names=["input_ids", "attention_mask"],
    )
    torch.manual_seed(4)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=max_tokens + 2,
        type_vocab_size=1,
        pad_token_id=1,
    )
    model = RobertaForQuestionAnswering(config)
    _draw_head(model, tokenizer, null_logit=12)
    return _exported(model, tokenizer, place, overlap_tokens)


def _exported(model: Any, tokenizer: Any, place: Path, overlap_tokens: int) -> AnswerModel:
    from optimum.exporters.onnx import onnx_export_from_model

    folder, models = place / "exported", place / "models"
    onnx_export_from_model(
        model, str(folder), task="question-answering", opset=17, do_validation=False
    )
    tokenizer.save_pretrained(folder)
    write_ensemble(
        models / ENSEMBLE,
        [(folder / "model.onnx").read_bytes()],
        labels=(),
        task="question-answering",
        tokenizer=tokenizer.backend_tokenizer.to_str().encode(),
        window=(tokenizer.model_max_length, overlap_tokens),
    )
    return AnswerModel(folder, models, tokenizer, overlap_tokens)


def _draw_head(model: Any, tokenizer: Any, null_logit: float) -> None:
    """A head of which some tokens stand out, and quite often the first, which means no answer.

    null_logit: about how much more that one gets than it would by chance
    """
    import torch

    torch.nn.init.normal_(model.qa_outputs.weight, std=0.5)
    with torch.no_grad():
        pair = tokenizer("Who said so?", "Somebody did.", return_tensors="pt")
        tokens = model.eval().base_model(**pair).last_hidden_state[0]
        first_from_others = tokens[0] - tokens[1:].mean(0)
        model.qa_outputs.weight += null_logit * first_from_others / (first_from_others @ tokens[0])


def pipeline_answers(
    model: AnswerModel, questions: Sequence[Question], **params: Any
) -> list[list[dict[str, Any]] | None]:
    """What transformers' pipeline answers to each question, windows cut as the model's are.

    returns: None for a question too long for the window, over which the tokenizers library panics
    """
    from optimum.onnxruntime import ORTModelForQuestionAnswering
    from transformers import pipeline

    loaded = ORTModelForQuestionAnswering.from_pretrained(model.folder, local_files_only=True)
    run = in_stages(loaded, model.folder)
    ask = pipeline("question-answering", model=run, tokenizer=model.tokenizer)
    window = {
        "max_seq_len": model.tokenizer.model_max_length,
        "doc_stride": model.overlap_tokens,
    }
    found: list[list[dict[str, Any]] | None] = []
    for question, context in questions:
        try:
            answers = ask(question=question, context=context, **window, **params)
        except BaseException as panic:
            if type(panic).__name__ != "PanicException":
                raise
            found.append(None)
        else:
            found.append(answers if isinstance(answers, list) else [answers])
    return found
