"""GPT-2 and Llama of random weights and a byte tokenizer's vocabulary, exported as optimum does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streamproc.testing.generative import build_byte_tokenizer

VOCABULARY = build_byte_tokenizer().vocabulary_size
POSITIONS = 512
KINDS = ("gpt2", "llama")


def build_causal(kind: str, seed: int = 0) -> Any:
    """A transformers model of that kind, ready to generate."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    # Threads cost more than they bring at this size.
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    # Weights large enough that scores are far apart, so that no rounding decides between two.
    if kind == "gpt2":
        config = GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=POSITIONS,
            n_embd=64,
            n_layer=2,
            n_head=2,
            initializer_range=0.2,
            bos_token_id=VOCABULARY - 1,
            eos_token_id=VOCABULARY - 1,
        )
        return GPT2LMHeadModel(config).eval()
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=160,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=POSITIONS,
        initializer_range=0.2,
        bos_token_id=VOCABULARY - 1,
        eos_token_id=VOCABULARY - 1,
    )
    return LlamaForCausalLM(config).eval()


def export_causal(model: Any, folder: Path) -> bytes:
    """The model as ONNX, with its cache; its files are left in `folder`."""
    from optimum.exporters.onnx import onnx_export_from_model

    onnx_export_from_model(
        model, folder, task="text-generation-with-past", opset=18, do_validation=False
    )
    return (folder / "model.onnx").read_bytes()
