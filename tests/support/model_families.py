"""A tiny model of random weights for each family of transformers and each task it has."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from streamproc.testing import tokenizer_json
from streamproc.testing.generative import byte_tokenizer_json

LABELS = {0: "calm", 1: "angry", 2: "spam"}
TAGS = {0: "O", 1: "B-PER", 2: "I-PER"}

_WIDTH, _LAYERS, _HEADS, _INNER, _POSITIONS = 64, 2, 4, 128, 66
# What every configuration calls these sizes, one way or another; what it does not know it keeps
# beside its own, unused.
_SIZES: dict[str, Any] = {
    **dict.fromkeys(
        ("hidden_size", "d_model", "n_embd", "dim", "embedding_size", "emb_dim"), _WIDTH
    ),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), _LAYERS),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_decoder_layers"), _LAYERS),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), _HEADS),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), _HEADS),
    **dict.fromkeys(("intermediate_size", "n_inner", "hidden_dim", "d_inner", "d_ff"), _INNER),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "ffn_dim"), _INNER),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"), _POSITIONS),
    "initializer_range": 0.3,
    "init_std": 0.3,
}
# What is special about a family: shapes that its code insists on, and ends of texts.
_OWN: dict[str, dict[str, Any]] = {
    "gemma": {"head_dim": 16, "num_key_value_heads": 1},
    "gemma2": {"head_dim": 16, "num_key_value_heads": 1, "sliding_window": 16},
    "gemma3_text": {"head_dim": 16, "num_key_value_heads": 1, "sliding_window": 16},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"head_dim": 8, "num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2},
    "phi": {"num_key_value_heads": 4},
    "granite": {"num_key_value_heads": 2},
    "smollm3": {"num_key_value_heads": 2, "pad_token_id": 0, "no_rope_layers": [1, 0]},
    "stablelm": {"num_key_value_heads": 4},
    "olmo": {"num_key_value_heads": 4},
    "gptj": {"rotary_dim": 8},
    "codegen": {"rotary_dim": 8},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "hidden_size": _WIDTH},
    "opt": {"word_embed_proj_dim": _WIDTH},
    "falcon": {"num_kv_heads": 4},
    "longformer": {"attention_window": 8},
    "funnel": {"block_sizes": [1, 1], "d_head": 8},
    "mobilebert": {"initializer_range": 0.05, "intra_bottleneck_size": 16, "true_hidden_size": 16},
    "convbert": {"conv_kernel_size": 3},
    "t5": {"d_kv": 16, "initializer_factor": 3.0},
    "mt5": {"d_kv": 16, "initializer_factor": 3.0},
    "longt5": {"d_kv": 16, "initializer_factor": 3.0},
    "modernbert": {
        "global_attn_every_n_layers": 2,
        "local_attention": 16,
        "deterministic_flash_attn": False,
    },
    "mpt": {"expansion_ratio": 2},
    "phi3": {"pad_token_id": 0, "num_key_value_heads": 4},
    "roberta": {"max_position_embeddings": _POSITIONS},
    "xlm": {"max_position_embeddings": _POSITIONS},
}
_FOR = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "text-generation": "AutoModelForCausalLM",
    "translation": "AutoModelForSeq2SeqLM",
    "summarization": "AutoModelForSeq2SeqLM",
}


def has_head(model_type: str, task: str) -> bool:
    """Whether transformers has a class of that family for the task."""
    from transformers.models.auto import modeling_auto as auto

    names = {
        "text-classification": auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
        "token-classification": auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
        "question-answering": auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
        "text-generation": auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        "translation": auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        "summarization": auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    }
    return model_type in names[task]


def save_model(model_type: str, task: str, folder: Path, *, seed: int = 1, **more: Any) -> Path:
    """A Hugging Face folder of a model for the task, with a tokenizer of a few words or bytes."""
    import torch
    import transformers

    tokenizer = byte_tokenizer_json() if task == "text-generation" else _words()
    vocabulary = _vocabulary(tokenizer)
    end = vocabulary.get("[SEP]", len(vocabulary) - 1)
    ids = {"bos_token_id": end, "eos_token_id": end, "vocab_size": len(vocabulary)}
    if task != "text-generation":
        ids["pad_token_id"] = vocabulary["[PAD]"]
        ids["decoder_start_token_id"] = vocabulary["[PAD]"]
    labels = {"text-classification": LABELS, "token-classification": TAGS}.get(task)
    sizes = {name: value for name, value in _SIZES.items() if _knows(model_type, name)}
    values = {**sizes, **ids, **({"id2label": labels} if labels else {})}
    values |= {**_OWN.get(model_type, {}), **more}
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    config = transformers.CONFIG_MAPPING[model_type](**values)
    model = getattr(transformers, _FOR[task]).from_config(config)
    model.eval().save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(tokenizer)
    return folder


def ask_pipeline(model_type: str, task: str, folder: Path, request: dict[str, Any]) -> Any:
    """transformers' own answer to a request, of the same folder and tokenizer."""
    import transformers

    special = {role: f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep")}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        model_input_names=_input_names(model_type, task),
        **(
            {}
            if task == "text-generation"
            else {f"{role}_token": special[role] for role in special}
        ),
    )
    ask = transformers.pipeline(task, str(folder), tokenizer=tokenizer, device="cpu")
    if task == "question-answering":
        return ask(question=request["question"], context=request["context"])
    if task == "text-classification":
        return ask([request["text"]], top_k=None)[0]
    if task == "token-classification":
        return ask(request["text"], aggregation_strategy="simple")
    how = {"do_sample": False, "num_beams": 1, "max_new_tokens": 12}
    if task == "text-generation":
        how["return_full_text"] = False
    return ask(request["text"], **how)[0]


def _words() -> bytes:
    """A tokenizer of a few words, whose special tokens are special as in a file of transformers."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_buffer(tokenizer_json())
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    written: str = tokenizer.to_str()
    return written.encode()


def _input_names(model_type: str, task: str) -> list[str]:
    """What the family's own tokenizer gives its models."""
    import transformers
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    names = [name for name in TOKENIZER_MAPPING_NAMES.get(model_type, ()) if name]
    config = transformers.CONFIG_MAPPING[model_type]
    model = getattr(transformers, _FOR[task])._model_mapping[config]
    model = model[0] if isinstance(model, tuple) else model
    taken = inspect.signature(model.forward).parameters
    with_types = [one for one in ("input_ids", "token_type_ids", "attention_mask") if one in taken]
    for name in reversed(names):
        found = getattr(transformers, name, None)
        if found is not None and hasattr(found, "model_input_names"):
            return [one for one in with_types if one in found.model_input_names]
    return ["input_ids", "attention_mask"]


def _knows(model_type: str, name: str) -> bool:
    import transformers

    config = transformers.CONFIG_MAPPING[model_type]
    return name in config().to_dict() or name in getattr(config, "attribute_map", {})


def _vocabulary(tokenizer: bytes) -> dict[str, int]:
    from tokenizers import Tokenizer

    found: dict[str, int] = Tokenizer.from_buffer(tokenizer).get_vocab()
    return found
