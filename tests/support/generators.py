"""Decoders as ensembles of one member, and the same as transformers runs them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from streamproc.repository.repository import MANIFEST
from streamproc.testing.generative import byte_tokenizer_json
from tests.support.alone import copy_with_one_member
from tests.support.causal_models import POSITIONS, VOCABULARY, build_causal, export_causal


@dataclass(frozen=True, slots=True)
class Generator:
    """models: a repository that has it alone; exported: a folder of its files, with a config."""

    models: Path
    ensemble: str
    exported: Path
    end_tokens: tuple[int, ...]
    banned_tokens: tuple[int, ...]

    def generate(
        self, prompts: Sequence[str], new_tokens: int, next_tokens: int
    ) -> list[tuple[str, list[float]]]:
        """What transformers' generate writes after each prompt, alone, over optimum's ONNX model.

        And beside it the probabilities of the likeliest first tokens.
        """
        from optimum.onnxruntime import ORTModelForCausalLM
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(self.exported / "tokenizer.json"))
        model = ORTModelForCausalLM.from_pretrained(
            self.exported, local_files_only=True, use_cache=True
        )
        found = []
        for prompt in prompts:
            inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
            out = model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=new_tokens,
                eos_token_id=list(self.end_tokens),
                pad_token_id=self.end_tokens[0],
                bad_words_ids=[[token] for token in self.banned_tokens] or None,
                return_dict_in_generate=True,
                output_logits=True,
            )
            before, whole = inputs["input_ids"][0].tolist(), out.sequences[0].tolist()
            text = _decoded(tokenizer, whole)[len(_decoded(tokenizer, before)) :]
            odds = np.sort(out.logits[0][0].softmax(-1).numpy())[::-1][:next_tokens]
            found.append((text, odds.tolist()))
        return found


def _decoded(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def shipped_generator(ensemble: str, member: int, folder: Path) -> Generator:
    """A member of an ensemble in the models folder, alone."""
    models = folder / "models"
    stored, chosen = copy_with_one_member(ensemble, member, models)
    decoding = stored.manifest.decoding
    assert decoding is not None
    return _generator(
        models,
        ensemble,
        folder,
        stored.model(chosen),
        stored.tokenizer(),
        decoding.end_tokens,
        decoding.banned_tokens,
    )


def random_generator(kind: str, folder: Path) -> Generator:
    """A decoder of random weights whose tokens are bytes: gpt2 or llama."""
    model, tokenizer = export_causal(build_causal(kind), folder / "made"), byte_tokenizer_json()
    stored = folder / "models" / "tiny"
    stored.mkdir(parents=True)
    (stored / "model.onnx").write_bytes(model)
    (stored / "tokenizer.json").write_bytes(tokenizer)
    (stored / MANIFEST).write_text(
        f"""format = 1
name = "tiny"
task = "text-generation"
tokenizer = {{ file = "tokenizer.json", sha256 = "{hashlib.sha256(tokenizer).hexdigest()}" }}
window = {{ max_tokens = {POSITIONS}, overlap_tokens = 0 }}
decoding = {{ end_tokens = [{VOCABULARY - 1}], max_tokens = {POSITIONS} }}

[[members]]
name = "{kind}"
version = "1"
file = "model.onnx"
sha256 = "{hashlib.sha256(model).hexdigest()}"
""",
        "utf-8",
    )
    return _generator(folder / "models", "tiny", folder, model, tokenizer, (VOCABULARY - 1,))


def _generator(
    models: Path,
    ensemble: str,
    folder: Path,
    model: bytes,
    tokenizer: bytes,
    end_tokens: tuple[int, ...],
    banned_tokens: tuple[int, ...] = (),
) -> Generator:
    import onnx

    exported = folder / "exported"
    exported.mkdir()
    (exported / "model.onnx").write_bytes(model)
    (exported / "tokenizer.json").write_bytes(tokenizer)
    graph = onnx.load_from_string(model).graph
    sizes = {
        node.name: [size.dim_value for size in node.type.tensor_type.shape.dim]
        for node in (*graph.input, *graph.output)
    }
    _, heads, _, head_size = sizes["past_key_values.0.key"]
    layers = sum(name.startswith("past_key_values.") for name in sizes) // 2
    # Only sizes and token ids are read from it; the graph is what it is. A Llama's caches may have
    # fewer heads than it has: all that is read of them is this number.
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": sizes["logits"][-1],
        "hidden_size": heads * head_size,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "eos_token_id": end_tokens[0],
        "bos_token_id": end_tokens[0],
        "max_position_embeddings": 1_000_000,
    }
    (exported / "config.json").write_bytes(orjson.dumps(config))
    return Generator(models, ensemble, exported, end_tokens, banned_tokens)
