"""Real texts as requests of every task: most of them short, some of many chunks, some foreign."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tests.support.task_topics import topics_of
from tests.support.texts import short_text
from tests.support.topics import Sent

BULK_EVERY = 4
"""The last of so many goes on the bulk lane."""
LONG_EVERY = 11
FOREIGN_EVERY = 13
# No multiples of each other: every lane gets some of each.

FOREIGN = (
    "这部电影很好看。演员们演得真不错！",
    "الفيلم جميل، والممثلون رائعون.",
    "ארבעה שחקנים 👩‍👩‍👧‍👦 בעיר קטנה.",
    "Un film e\u0301tonnant,\r\n\tet trop long.",
)
QUESTIONS = ("What was it like?", "Who liked it, and why?", "怎么样？", "How long did it take?")
AGGREGATIONS = ("simple", "none", "first", "average", "max")
LONG_TEXTS = 40
"""Short texts that make a long one: some five thousand characters."""
LONG_TRANSLATIONS = 8
"""As many for a translation, which takes a model a hundred times as long."""
PROMPT_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that must be answered `ok`, and its id."""

    id: str
    record: Sent


def mixed_requests(tasks: Sequence[str], count: int, prefix: str) -> list[Asked]:
    """`count` different requests, the tasks in turn, in both lanes; ids are `<prefix>-<number>`."""
    return [mixed_request(tasks, number, f"{prefix}-{number}") for number in range(count)]


def mixed_request(tasks: Sequence[str], number: int, name: str) -> Asked:
    """One of them. name: its id"""
    turn, task = number // len(tasks), tasks[number % len(tasks)]
    body = _MAKERS[task](turn, list(map(short_text, range(number, number + LONG_TEXTS))))
    topics = topics_of(task)
    topic = topics.bulk if turn % BULK_EVERY == BULK_EVERY - 1 else topics.requests
    return Asked(name, Sent(orjson.dumps({"id": name, **body}), topic, key=name.encode()))


def requests_of(task: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    """A request's fields for each text, all but its id; the long ones take the next texts along."""
    return [
        _MAKERS[task](number, texts[number : number + LONG_TEXTS]) for number in range(len(texts))
    ]


def _is_long(turn: int) -> bool:
    return turn % LONG_EVERY == LONG_EVERY - 1


def _text(turn: int, texts: Sequence[str]) -> str:
    if _is_long(turn):
        return "\n".join(texts)
    if turn % FOREIGN_EVERY == FOREIGN_EVERY - 1:
        return f"{FOREIGN[turn % len(FOREIGN)]} {turn}"
    return texts[0]


def _classified(turn: int, texts: Sequence[str]) -> dict[str, Any]:
    return {"text": _text(turn, texts)}


def _tagged(turn: int, texts: Sequence[str]) -> dict[str, Any]:
    aggregation = AGGREGATIONS[turn % len(AGGREGATIONS)]
    return {"text": _text(turn, texts), "params": {"aggregation": aggregation}}


def _answered(turn: int, texts: Sequence[str]) -> dict[str, Any]:
    return {
        "question": QUESTIONS[turn % len(QUESTIONS)],
        "context": _text(turn, texts),
        "params": {"top_k": 1 + turn % 3, "handle_impossible_answer": turn % 2 == 0},
    }


def _translated(turn: int, texts: Sequence[str]) -> dict[str, Any]:
    text = _text(turn, texts[:LONG_TRANSLATIONS])
    return {"text": text, "params": {"num_beams": 1 + turn % 2}}


def _summarised(turn: int, texts: Sequence[str]) -> dict[str, Any]:
    return {**_translated(turn, texts), "params": {"num_beams": 1 + turn % 2, "min_length": 4}}


def _continued(turn: int, texts: Sequence[str]) -> dict[str, Any]:
    """A prompt is one chunk, however long; the long ones are cut at their start."""
    lot = {"do_sample": True, "seed": turn} if turn % 3 == 0 else {}
    if _is_long(turn):
        return {"text": "\n".join(texts), "params": {"truncate": "start", **lot}}
    prompt = _text(turn, texts)[-PROMPT_CHARACTERS:]
    return {"text": prompt, "params": {"max_new_tokens": 4 + turn % 13, **lot}}


_MAKERS: Mapping[str, Callable[[int, Sequence[str]], dict[str, Any]]] = {
    "text-classification": _classified,
    "token-classification": _tagged,
    "question-answering": _answered,
    "translation": _translated,
    "summarization": _summarised,
    "text-generation": _continued,
}
