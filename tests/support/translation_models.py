"""Translators as ensembles of one member, and the same as transformers runs them."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from streamproc.repository.decoding_section import DecodingSection
from streamproc.repository.repository import MANIFEST
from tests.support.alone import copy_with_one_member
from tests.support.seq2seq_models import build_seq2seq, export_seq2seq
from tests.support.translators import END, PAD, byte_tokenizer_json

ENCODER, DECODER = "encoder_model.onnx", "decoder_model_merged.onnx"


@dataclass(frozen=True, slots=True)
class Translator:
    """models: a repository that has it alone; exported: a folder of its files, with a config."""

    models: Path
    ensemble: str
    exported: Path
    decoding: DecodingSection

    def generate(
        self, texts: Sequence[str], beams: int, max_new_tokens: int, **how: Any
    ) -> list[str]:
        """What transformers' generate makes of each text, alone, over optimum's ONNX model."""
        from optimum.onnxruntime import ORTModelForSeq2SeqLM
        from transformers import GenerationConfig, PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(self.exported / "tokenizer.json"))
        model = ORTModelForSeq2SeqLM.from_pretrained(
            self.exported, local_files_only=True, use_cache=True, use_merged=True
        )
        banned = [[token] for token in self.decoding.banned_tokens]
        config = GenerationConfig(
            decoder_start_token_id=self.decoding.start_token,
            pad_token_id=self.decoding.start_token,
            eos_token_id=list(self.decoding.end_tokens),
            forced_eos_token_id=self.decoding.forced_end_token,
            bad_words_ids=banned or None,
            max_new_tokens=max_new_tokens,
            num_beams=beams,
            do_sample=False,
            **how,
        )
        written = []
        for text in texts:
            inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
            tokens = model.generate(**inputs, generation_config=config)[0].tolist()[1:]
            if tokens and tokens[-1] in self.decoding.end_tokens:
                tokens.pop()
            written.append(str(tokenizer.decode(tokens, skip_special_tokens=True)).strip())
        return written


def shipped_translator(ensemble: str, member: int, folder: Path) -> Translator:
    """A member of an ensemble in the models folder, alone."""
    models = folder / "models"
    stored, chosen = copy_with_one_member(ensemble, member, models)
    decoding = stored.manifest.decoding
    assert decoding is not None
    return _translator(
        models,
        ensemble,
        folder / "exported",
        decoding,
        {
            ENCODER: stored.model(chosen),
            DECODER: stored.decoder(chosen),
            "tokenizer.json": stored.tokenizer(),
        },
    )


def random_translator(kind: str, folder: Path, members: int = 1) -> Translator:
    """A translator of random weights whose tokens are bytes: marian, t5 or bart.

    members: copies of it in the ensemble
    """
    model = build_seq2seq(kind, vocabulary=258, end=END, padding=PAD)
    made = folder / "made"
    export_seq2seq(model, made)
    files = {name: (made / name).read_bytes() for name in (ENCODER, DECODER)}
    files["tokenizer.json"] = byte_tokenizer_json()
    decoding = {
        "start_token": PAD,
        # More ends than one, as random weights come upon a certain one so rarely.
        "end_tokens": [END, *range(40, 48)],
        "banned_tokens": [PAD],
        "max_tokens": 200,
        "max_new_tokens": 60,
        **({} if kind == "t5" else {"forced_end_token": END}),
    }
    stored = folder / "models" / "tiny"
    (stored / "m").mkdir(parents=True)
    for name, content in files.items():
        (stored / ("" if name.endswith(".json") else "m") / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    sections = [
        'format = 1\nname = "tiny"\ntask = "translation"',
        f'[tokenizer]\nfile = "tokenizer.json"\nsha256 = "{digests["tokenizer.json"]}"',
        "[window]\nmax_tokens = 200\noverlap_tokens = 0",
        "[decoding]\n" + "\n".join(f"{name} = {value}" for name, value in decoding.items()),
        *(
            f'[[members]]\nname = "{kind}{copy}"\nversion = "1"\nfile = "m/{ENCODER}"\n'
            f'sha256 = "{digests[ENCODER]}"\n'
            f'decoder = {{ file = "m/{DECODER}", sha256 = "{digests[DECODER]}" }}'
            for copy in range(members)
        ),
    ]
    manifest = "\n\n".join(sections) + "\n"
    (stored / MANIFEST).write_text(manifest, "utf-8")
    section = DecodingSection.model_validate(tomllib.loads(manifest)["decoding"])
    return _translator(folder / "models", "tiny", folder / "exported", section, files)


def _translator(
    models: Path,
    ensemble: str,
    exported: Path,
    decoding: DecodingSection,
    files: dict[str, bytes],
) -> Translator:
    import onnx

    exported.mkdir()
    for name, content in files.items():
        (exported / name).write_bytes(content)
    graph = onnx.load_from_string(files[DECODER]).graph
    sizes = {
        node.name: [size.dim_value for size in node.type.tensor_type.shape.dim]
        for node in (*graph.input, *graph.output)
    }
    _, heads, _, head_size = sizes["past_key_values.0.decoder.key"]
    layers = sum(name.endswith(".decoder.key") for name in sizes) // 2
    # Only sizes and token ids are read from it; the graphs are what they are.
    config = {
        "model_type": "marian",
        "architectures": ["MarianMTModel"],
        "is_encoder_decoder": True,
        "vocab_size": sizes["logits"][-1],
        "d_model": heads * head_size,
        "encoder_layers": layers,
        "decoder_layers": layers,
        "encoder_attention_heads": heads,
        "decoder_attention_heads": heads,
        "pad_token_id": decoding.start_token,
        "decoder_start_token_id": decoding.start_token,
        "eos_token_id": decoding.end_tokens[0],
        "forced_eos_token_id": decoding.forced_end_token,
    }
    (exported / "config.json").write_bytes(orjson.dumps(config))
    return Translator(models, ensemble, exported, decoding)
