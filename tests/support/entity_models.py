"""Small token classifiers for comparisons: their entities are many and mean nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.alone import copy_with_one_member, encoder_for_transformers, in_stages
from tests.support.onnx_models import write_ensemble
from tests.support.texts import sample_texts

ENSEMBLE = "entities"
# BIO labels, some of them in two parts, a plain one, and the scheme that also marks ends.
LABELS = ("O", "B-PER", "I-PER", "B-creative-work", "I-creative-work", "LOC", "E-LOC")


@dataclass(frozen=True, slots=True)
class TokenClassifier:
    """One exported model, as transformers reads it and as streamproc does.

    folder: model.onnx, config.json and tokenizer files; models: a repository with the ensemble
    tokenizer: of transformers, with the window's length
    """

    folder: Path
    models: Path
    tokenizer: Any
    overlap_tokens: int
    ensemble: str = ENSEMBLE


def shipped_classifier(place: Path, ensemble: str, member: int) -> TokenClassifier:
    """A member of an ensemble in the models folder, alone."""
    folder, models = place / "exported", place / "models"
    stored, chosen = copy_with_one_member(ensemble, member, models)
    architecture = "BertForTokenClassification"
    tokenizer = encoder_for_transformers(stored, chosen, architecture, folder)
    overlap_tokens = stored.manifest.window.overlap_tokens
    return TokenClassifier(folder, models, tokenizer, overlap_tokens, ensemble)


def word_piece_classifier(
    place: Path, max_tokens: int = 128, overlap_tokens: int = 32
) -> TokenClassifier:
    """MiniLM's first two layers and its tokenizer, which marks continuations by "##"."""
    from transformers import AutoTokenizer, BertForTokenClassification

    from streamproc.offline.training.base import find_base

    base = find_base().folder
    tokenizer = AutoTokenizer.from_pretrained(base, model_max_length=max_tokens)
    model = BertForTokenClassification.from_pretrained(
        base, num_hidden_layers=2, id2label=dict(enumerate(LABELS))
    )
    return _exported(model, tokenizer, place, overlap_tokens)


def byte_level_classifier(
    place: Path, max_tokens: int = 64, overlap_tokens: int = 15
) -> TokenClassifier:
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


def _exported(model: Any, tokenizer: Any, place: Path, overlap_tokens: int) -> TokenClassifier:
    import torch
    from optimum.exporters.onnx import onnx_export_from_model

    # A head drawn wide, so that every label is some token's likeliest.
    torch.manual_seed(4)
    torch.nn.init.normal_(model.classifier.weight, std=0.5)
    folder, models = place / "exported", place / "models"
    onnx_export_from_model(
        model, str(folder), task="token-classification", opset=17, do_validation=False
    )
    tokenizer.save_pretrained(folder)
    write_ensemble(
        models / ENSEMBLE,
        [(folder / "model.onnx").read_bytes()],
        labels=LABELS,
        task="token-classification",
        tokenizer=tokenizer.backend_tokenizer.to_str().encode(),
        window=(tokenizer.model_max_length, overlap_tokens),
    )
    return TokenClassifier(folder, models, tokenizer, overlap_tokens)


def pipeline_answers(
    classifier: TokenClassifier, texts: Sequence[str], aggregation: str, *, windows: bool
) -> list[list[dict[str, Any]]]:
    """What transformers' pipeline finds in each text.

    windows: whether a text may be of many windows; if not, only the first one is looked at
    """
    from optimum.onnxruntime import ORTModelForTokenClassification
    from transformers import pipeline

    folder = classifier.folder
    loaded = ORTModelForTokenClassification.from_pretrained(folder, local_files_only=True)
    model = in_stages(loaded, folder)
    stride = {"stride": classifier.overlap_tokens} if windows else {}
    find = pipeline(
        "token-classification",
        model=model,
        tokenizer=classifier.tokenizer,
        aggregation_strategy=aggregation,
        **stride,
    )
    # A list of one text would come back as a list of entities.
    return [find(text) for text in texts]
