"""Requests of each task that are refused as invalid, whatever ensemble is there to answer them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

GOOD: dict[str, dict[str, Any]] = {
    "text-classification": {"text": "the good film"},
    "token-classification": {"text": "the good film"},
    "question-answering": {"question": "the film?", "context": "the good film"},
    "translation": {"text": "The good film."},
    "summarization": {"text": "The good film."},
    "text-generation": {"text": "the good film"},
}
"""The fields of a request of each task that is answered `ok`."""


@dataclass(frozen=True, slots=True)
class HostileRequest:
    """What makes a good request a bad one.

    kind:  what is wrong, in words
    field: what the error's detail begins with
    wrong: fields instead of the good ones, or beside them
    """

    kind: str
    field: str
    wrong: dict[str, Any]


def hostile_requests(task: str) -> tuple[HostileRequest, ...]:
    """All of a task; those that every task refuses alike among them."""
    return (*_of_any_task(task), *_OF_TASK[task])


def _of_any_task(task: str) -> list[HostileRequest]:
    wrong_types: tuple[tuple[str, Any], ...] = (
        ("null", None), ("a number", 5), ("a list", ["a"]), ("an object", {"text": "a"}),
    )  # fmt: skip
    return [
        *(
            HostileRequest(f"{field} is {kind}", field, {field: value})
            for field in GOOD[task]
            for kind, value in wrong_types
        ),
        HostileRequest("params is a list", "params", {"params": []}),
        HostileRequest("params is a string", "params", {"params": "return_members"}),
        _param("return_members", "a string", "true"),
        _param("combine", "code", "__import__('os')"),
        _param("combine", "huge", 1e308),
        _param("combine", "900 kB", "x" * 900_000),
        _param("max_tokens", "unknown", 10**9),
        _param("x" * 30_000, "unknown and endless", 1),
    ]


def _param(name: str, kind: str, value: Any, *, field: str = "", **others: Any) -> HostileRequest:
    """field: where it is not the parameter that the error names"""
    title = f"{name[:24]}: {kind}"
    return HostileRequest(
        title, field or f"params.{name}"[:64], {"params": {name: value, **others}}
    )


def _sampled(name: str, kind: str, value: Any) -> HostileRequest:
    return _param(name, kind, value, do_sample=True)


_OF_TASK: dict[str, tuple[HostileRequest, ...]] = {
    "text-classification": (
        _param("top_k", "none", 0),
        _param("top_k", "negative", -1),
        _param("top_k", "huge", 10**15),
        _param("top_k", "a float", 1.5),
        _param("top_k", "true", True),
        _param("aggregation", "unknown", "median"),
        _param("truncate", "a string", "yes"),
        _param("topk", "misspelt", 1),
        _param("threshold", "above 1", 1.5),
        _param("threshold", "a string", "half"),
        _param("threshold", "NaN as text", "NaN"),
        _param("threshold", "of a text that has one label", 0.5),
    ),
    "token-classification": (
        _param("aggregation", "unknown", "SIMPLE"),
        _param("aggregation", "negative", -1),
        _param("aggregation", "a list", ["none"]),
        _param("stitch", "empty", ""),
        _param("stitch", "900 kB", "x" * 900_000),
        _param("stitch", "of nothing", "longest", aggregation="none"),
        _param("ignore_labels", "an object", {"O": 1}),
        _param("ignore_labels", "nested", [["O"]]),
        _param("ignore_labels", "200,000 of them", ["O"] * 200_000),
        _param("ignore_labels", "900 kB", ["x" * 900_000]),
        _param("truncate", "a number", 1),
    ),
    "question-answering": (
        HostileRequest("question is empty", "question", {"question": ""}),
        HostileRequest("question of 100,000 words", "question", {"question": "good " * 100_000}),
        HostileRequest("context is empty", "context", {"context": ""}),
        _param("top_k", "none", 0),
        _param("top_k", "negative", -1),
        _param("top_k", "huge", 10**15),
        _param("max_answer_tokens", "negative", -1),
        _param("max_answer_tokens", "huge", 1e308),
        _param("no_answer_threshold", "huge", 1e300),
        _param("no_answer_threshold", "NaN as text", "NaN"),
        _param("combine", "a vote", "vote"),
        _param("truncate", "a string", "yes"),
    ),
    "translation": (
        _param("num_beams", "none", 0),
        _param("num_beams", "negative", -1),
        _param("num_beams", "huge", 10**15),
        _param("num_beams", "a float", 2.0),
        _param("length_penalty", "huge", 1e308),
        _param("length_penalty", "NaN as text", "NaN"),
        _param("no_repeat_ngram_size", "negative", -1),
        _param("no_repeat_ngram_size", "huge", 10**9),
        _param("max_new_tokens", "none", 0),
        _param("max_new_tokens", "negative", -5),
        _param("max_new_tokens", "more than a model writes", 1_048_576),
        _param("max_new_tokens", "huge", 10**18),
        _param("early_stopping", "another string", "often"),
        _param("combine", "a vote", "vote"),
        _param("truncate", "unknown", True),
        _param("repetition_penalty", "none", 0),
        _param("min_new_tokens", "negative", -1),
        _param("prefix", "900 kB", "x" * 900_000),
        _param("prefix", "a list", ["to German: "]),
        _param("prefix", "longer than a model reads", "to German " * 100),
        _param("target_language", "of a model of one", "deu_Latn"),
        _param("source_language", "a token that is none", "</s>"),
        # As others call it.
        _param("tgt_lang", "wrong language", "fr"),
        _param("src_lang", "wrong language", "tlh"),
    ),
    "summarization": (
        _param("num_beams", "none", 0),
        _param("num_beams", "huge", 10**15),
        _param("length_penalty", "huge", 1e308),
        _param("no_repeat_ngram_size", "negative", -1),
        _param("max_length", "one", 1),
        _param("max_length", "more than a model writes", 1_048_576),
        _param("max_length", "huge", 10**18),
        _param("max_length", "beside max_new_tokens", 9, max_new_tokens=9, field="params: "),
        _param("min_length", "negative", -1),
        _param("min_length", "beside min_new_tokens", 9, min_new_tokens=9, field="params: "),
        _param("max_new_tokens", "none", 0),
        _param("max_new_tokens", "more than a model writes", 1_048_576),
        _param("truncate", "a string", "yes"),
        _param("truncation", "as others call it", True),
        _param("prefix", "longer than a model reads", "summarize " * 100),
        _param("target_language", "of a model of one", "deu_Latn"),
        _param("combine", "a vote", "vote"),
    ),
    "text-generation": (
        HostileRequest("prompt of 100,000 words", "text", {"text": "the " * 100_000}),
        HostileRequest("prompt of one word", "text", {"text": "x" * 100_000}),
        _param("max_new_tokens", "none", 0),
        _param("max_new_tokens", "negative", -1),
        _param("max_new_tokens", "more than a model writes", 1_048_576),
        _param("max_new_tokens", "huge", 10**18),
        _param("max_new_tokens", "true", True),
        _param("max_new_tokens", "a float", 1.5),
        _param("min_new_tokens", "negative", -1),
        _param("do_sample", "a string", "yes"),
        _param("temperature", "without sampling", 0.5, field="params: "),
        _sampled("temperature", "none", 0),
        _sampled("temperature", "negative", -1),
        _sampled("temperature", "huge", 1e308),
        _sampled("temperature", "NaN as text", "NaN"),
        _sampled("top_k", "negative", -1),
        _sampled("top_p", "none", 0),
        _sampled("top_p", "more than all", 1.01),
        _sampled("seed", "negative", -1),
        _sampled("seed", "huge", 2**63),
        _param("repetition_penalty", "none", 0),
        _param("repetition_penalty", "negative", -2.5),
        _param("no_repeat_ngram_size", "huge", 10**9),
        _param("stop", "900 kB", ["x" * 900_000]),
        _param("stop", "empty", [""]),
        _param("stop", "17 of them", ["x"] * 17),
        _param("stop", "a string", "x"),
        _param("next_tokens", "none", 0),
        _param("next_tokens", "too many", 101),
        _param("truncate", "unknown", "middle"),
        _param("truncate", "true", True),
        _param("combine", "a vote", "vote"),
        _param("beams", "unknown", 4),
    ),
}
