"""Small token classifiers for comparisons: their entities are many and mean nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.exported_models import ExportedModel, export, mini_lm
from tests.support.texts import sample_texts

TASK, ENSEMBLE = "token-classification", "entities"
# BIO labels, some of them in two parts, a plain one, and the scheme that also marks ends.
LABELS = ("O", "B-PER", "I-PER", "B-creative-work", "I-creative-work", "LOC", "E-LOC")


def word_piece_classifier(
    place: Path, max_tokens: int = 128, overlap_tokens: int = 32
) -> ExportedModel:
    """MiniLM's first two layers and its tokenizer, which marks continuations by "##"."""
    labels = dict(enumerate(LABELS))
    model, tokenizer = mini_lm("BertForTokenClassification", max_tokens, id2label=labels)
    return _exported(model, tokenizer, place, overlap_tokens)


def byte_level_classifier(
    place: Path, max_tokens: int = 64, overlap_tokens: int = 15
) -> ExportedModel:
    """Random weights and a small byte-level tokenizer, which marks no continuations and gives
    one character in several tokens."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.decoders import ByteLevel as Decoder
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.processors import TemplateProcessing
    from tokenizers.trainers import BpeTrainer
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    library = Tokenizer(BPE())
    library.pre_tokenizer = ByteLevel(add_prefix_space=False)
    library.decoder = Decoder()
    trainer = BpeTrainer(
        vocab_size=800,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    library.train_from_iterator(sample_texts(), trainer)
    library.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=library,
        model_max_length=max_tokens,
        pad_token="<pad>",  # noqa: S106 - no password
    )
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=max_tokens,
        id2label=dict(enumerate(LABELS)),
    )
    torch.manual_seed(3)
    return _exported(BertForTokenClassification(config), tokenizer, place, overlap_tokens)


def _exported(model: Any, tokenizer: Any, place: Path, overlap_tokens: int) -> ExportedModel:
    import torch

    # A head drawn wide, so that every label is some token's likeliest.
    torch.manual_seed(4)
    torch.nn.init.normal_(model.classifier.weight, std=0.5)
    return export(
        model, tokenizer, place, overlap_tokens, task=TASK, ensemble=ENSEMBLE, labels=LABELS
    )


def pipeline_answers(
    classifier: ExportedModel, texts: Sequence[str], aggregation: str, *, windows: bool
) -> list[list[dict[str, Any]]]:
    """What transformers' pipeline finds in each text.

    windows: whether a text may be of many windows; if not, only the first one is looked at
    """
    stride = {"stride": classifier.overlap_tokens} if windows else {}
    find = classifier.pipeline(
        "ORTModelForTokenClassification", aggregation_strategy=aggregation, **stride
    )
    # A list of one text would come back as a list of entities.
    return [find(text) for text in texts]
