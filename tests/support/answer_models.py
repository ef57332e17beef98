"""Small models that answer questions, for comparisons: their answers are anything but right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.exported_models import ExportedModel, export, mini_lm
from tests.support.texts import sample_texts

TASK, ENSEMBLE = "question-answering", "answers"
Question = tuple[str, str]
"""A question and its context."""


def bert(place: Path, max_tokens: int = 384, overlap_tokens: int = 128) -> ExportedModel:
    """MiniLM's first two layers and its tokenizer, with token types."""
    import torch

    torch.manual_seed(4)
    model, tokenizer = mini_lm("BertForQuestionAnswering", max_tokens)
    _draw_head(model, tokenizer, null_logit=16)
    return export(model, tokenizer, place, overlap_tokens, task=TASK, ensemble=ENSEMBLE)


def roberta(place: Path, max_tokens: int = 128, overlap_tokens: int = 64) -> ExportedModel:
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
    return export(model, tokenizer, place, overlap_tokens, task=TASK, ensemble=ENSEMBLE)


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
    model: ExportedModel, questions: Sequence[Question], **params: Any
) -> list[list[dict[str, Any]] | None]:
    """What transformers' pipeline answers to each question, windows cut as the model's are.

    returns: None for a question too long for the window, over which the tokenizers library panics
    """
    ask = model.pipeline("ORTModelForQuestionAnswering")
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
