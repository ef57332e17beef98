"""Marian, T5 and BART of random weights and a small vocabulary, exported as optimum does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

VOCABULARY = 211
KINDS = ("marian", "t5", "bart")

_SIZES = {
    "d_model": 48,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "max_position_embeddings": 256,
}


def build_seq2seq(
    kind: str,
    seed: int = 0,
    *,
    vocabulary: int = VOCABULARY,
    end: int = 0,
    padding: int = VOCABULARY - 1,
) -> Any:
    """A transformers model of that kind, ready to generate; it begins with the padding token."""
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
    ids = {
        "vocab_size": vocabulary,
        "eos_token_id": end,
        "pad_token_id": padding,
        "decoder_start_token_id": padding,
    }
    # Weights large enough that scores are far apart and that what is written hangs on the source.
    if kind == "marian":
        bad_words = [[padding]]
        marian = {**_SIZES, **ids, "forced_eos_token_id": end, "bad_words_ids": bad_words}
        return MarianMTModel(MarianConfig(**marian, init_std=1.0)).eval()
    if kind == "bart":
        bart = {**_SIZES, **ids, "forced_eos_token_id": end}
        return BartForConditionalGeneration(BartConfig(**bart, init_std=0.3)).eval()
    config = T5Config(
        **ids,
        d_model=48,
        d_kv=12,
        d_ff=96,
        num_layers=2,
        num_heads=4,
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
