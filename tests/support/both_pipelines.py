"""The same model behind transformers' pipeline and behind `streamproc.pipeline`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

import streamproc
from streamproc.repository.repository import MANIFEST
from tests.support.exported_models import shipped_model
from tests.support.generators import random_generator
from tests.support.translation_models import random_translator

Pair = tuple[Any, Any]
"""Theirs and ours."""

_HEADS = {
    "text-classification": ("sentiment", "SequenceClassification"),
    "token-classification": ("entities", "TokenClassification"),
    "question-answering": ("question-answering", "QuestionAnswering"),
}


def both(task: str, folder: Path, options: Mapping[str, Any] | None = None) -> Pair:
    """The first member of the shipped ensemble for tasks that score, random weights for others.

    options: what both pipelines are made with
    """
    return _BUILDERS[task](task, folder, dict(options or {}))


def both_of_type(problem_type: str, folder: Path) -> Pair:
    """Both over the shipped classifier, whose outputs are said to be of another problem type."""
    model = shipped_model(folder, "sentiment", 0, "BertForSequenceClassification")
    config = model.folder / "config.json"
    said = {**orjson.loads(config.read_bytes()), "problem_type": problem_type}
    config.write_bytes(orjson.dumps(said))
    manifest = model.models / "sentiment" / MANIFEST
    text = manifest.read_text("utf-8")
    manifest.write_text(f'problem_type = "{problem_type}"\n{text}', "utf-8")
    theirs = model.pipeline("ORTModelForSequenceClassification")
    return theirs, _ours("text-classification", "sentiment", model.models, {})


def _scorers(task: str, folder: Path, options: dict[str, Any]) -> Pair:
    ensemble, head = _HEADS[task]
    model = shipped_model(folder, ensemble, 0, f"BertFor{head}")
    theirs = model.pipeline(f"ORTModelFor{head}", **options)
    return theirs, _ours(task, ensemble, model.models, options)


def _generators(task: str, folder: Path, options: dict[str, Any]) -> Pair:
    from optimum.onnxruntime import ORTModelForCausalLM
    from transformers import GenerationConfig, PreTrainedTokenizerFast, pipeline

    made = random_generator("gpt2", folder)
    model = ORTModelForCausalLM.from_pretrained(made.exported, local_files_only=True)
    model.generation_config = GenerationConfig(
        eos_token_id=list(made.end_tokens), pad_token_id=made.end_tokens[0]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(made.exported / "tokenizer.json"))
    theirs = pipeline(task, model=model, tokenizer=tokenizer, **options)
    return theirs, _ours(task, made.ensemble, made.models, options)


def _translators(task: str, folder: Path, options: dict[str, Any]) -> Pair:
    from optimum.onnxruntime import ORTModelForSeq2SeqLM
    from transformers import GenerationConfig, PreTrainedTokenizerFast, pipeline

    made = random_translator("marian", folder)
    manifest = made.models / made.ensemble / MANIFEST
    manifest.write_text(manifest.read_text("utf-8").replace('"translation"', f'"{task}"'), "utf-8")
    model = ORTModelForSeq2SeqLM.from_pretrained(
        made.exported, local_files_only=True, use_merged=True
    )
    model.generation_config = GenerationConfig(
        decoder_start_token_id=made.decoding.start_token,
        pad_token_id=made.decoding.start_token,
        eos_token_id=list(made.decoding.end_tokens),
        forced_eos_token_id=made.decoding.forced_end_token,
        bad_words_ids=[[token] for token in made.decoding.banned_tokens],
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(made.exported / "tokenizer.json"))
    theirs = pipeline(task, model=model, tokenizer=tokenizer, **options)
    return theirs, _ours(task, made.ensemble, made.models, options)


def _ours(task: str, ensemble: str, models: Path, options: Mapping[str, Any]) -> Any:
    settings = streamproc.Settings(models_dir=models)
    return streamproc.pipeline(task, ensemble, settings=settings, **options)


_BUILDERS: dict[str, Callable[[str, Path, dict[str, Any]], Pair]] = {
    **dict.fromkeys(_HEADS, _scorers),
    "text-generation": _generators,
    "translation": _translators,
    "summarization": _translators,
}


def form(value: Any) -> Any:
    """How an answer is nested: lists, the keys of dicts in their order, kinds of values."""
    if isinstance(value, dict):
        return [(name, form(one)) for name, one in value.items()]
    if isinstance(value, list):
        return [form(one) for one in value]
    if isinstance(value, str):
        return "text"
    return "score" if "float" in type(value).__name__ else type(value).__name__


def values(value: Any) -> list[Any]:
    """All values of an answer one after the other; of entities all but the word's spelling."""
    if isinstance(value, dict):
        return [found for name, one in value.items() if name != "word" for found in values(one)]
    if isinstance(value, list):
        return [found for one in value for found in values(one)]
    return [value]
