"""Marian, T5 and BART of random weights and a small vocabulary, exported as optimum does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

VOCABULARY = 211
KINDS = ("marian", "t5", "bart")

# Weights large enough that scores are far apart: a text then ends, and repeats itself little.
_SIZES = {
    "vocab_size": VOCABULARY,
    "d_model": 48,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "max_position_embeddings": 256,
}


def build_seq2seq(kind: str, seed: int = 0) -> Any:
    """A transformers model of that kind, ready to generate."""
    import torch
    from transformers import (
        BartConfig,
        BartForConditionalGeneration,
        MarianConfig,
        MarianMTModel,
        T5Config,
        T5ForConditionalGeneration,
    )

    # Threads cost more than they bring at this size.
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    if kind == "marian":
        pad = VOCABULARY - 1
        config = MarianConfig(
            **_SIZES,
            pad_token_id=pad,
            decoder_start_token_id=pad,
            eos_token_id=0,
            forced_eos_token_id=0,
            bad_words_ids=[[pad]],
            init_std=0.3,
        )
        return MarianMTModel(config).eval()
    if kind == "bart":
        config = BartConfig(
            **_SIZES,
            bos_token_id=0,
            pad_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=2,
            forced_eos_token_id=2,
            init_std=0.3,
        )
        return BartForConditionalGeneration(config).eval()
    config = T5Config(
        vocab_size=VOCABULARY,
        d_model=48,
        d_kv=12,
        d_ff=96,
        num_layers=2,
        num_heads=4,
        pad_token_id=0,
        decoder_start_token_id=0,
        eos_token_id=1,
        initializer_factor=3.0,
    )
    return T5ForConditionalGeneration(config).eval()


def export_seq2seq(model: Any, folder: Path) -> None:
    """Write `encoder_model.onnx` and `decoder_model_merged.onnx` into `folder`."""
    from optimum.exporters.onnx import main_export

    model.save_pretrained(folder / "torch")
    main_export(
        str(folder / "torch"),
        output=folder,
        task="text2text-generation-with-past",
        do_validation=False,
    )
