"""The beginning of a book, translated: covered to the last character, its paragraphs kept.

`python -m tests.acceptance.translated_book`
"""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import typer

from tests.support.command import streamproc
from tests.support.report import say, tell
from tests.support.texts import books

_BETWEEN_PARAGRAPHS = re.compile(r"\s*\n\s*\n\s*")


def translate(text: str, ensemble: str, models: Path | None = None) -> dict[str, Any]:
    """The answer to one request, by `streamproc run`."""
    with tempfile.TemporaryDirectory() as place:
        asked, answers = Path(place) / "requests.jsonl", Path(place) / "answers.jsonl"
        asked.write_bytes(orjson.dumps({"text": text}) + b"\n")
        done = streamproc(
            *("run", asked, "-o", answers, "--task", "translation", "--ensemble", ensemble),
            *(("--models-dir", models) if models else ()),
            timeout_s=3600,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = orjson.loads(answers.read_bytes())
        return answer


def keeps_paragraphs(text: str, translation: str) -> bool:
    """Whether what stands between paragraphs is the same, and as often."""
    return _BETWEEN_PARAGRAPHS.findall(text) == _BETWEEN_PARAGRAPHS.findall(translation)


def main(
    book: int = 0,
    characters: int = 20_000,
    ensemble: str = "translation-en-de",
    models: Path | None = None,
) -> None:
    """Exit with 1 when it is not covered, or its paragraphs are other ones."""
    chosen = books()[book]
    text = chosen["text"][:characters]
    began = time.perf_counter()
    answer = translate(text, ensemble, models)
    seconds = time.perf_counter() - began
    result, coverage = answer["result"], answer["coverage"]
    say(result["translation_text"][:1500])
    kept = keeps_paragraphs(text, result["translation_text"])
    figures = {
        "title": chosen["title"],
        "status": answer["status"],
        "characters": len(text),
        "characters_covered": coverage["characters_covered"],
        "sentences": coverage["chunks"],
        "unfinished_sentences": len(result["unfinished"]),
        "paragraphs": 1 + len(_BETWEEN_PARAGRAPHS.findall(text)),
        "paragraphs_kept": kept,
        "characters_written": len(result["translation_text"]),
        "agreement": round(answer["agreement"], 4),
        "entropy": round(answer["entropy"], 4),
        "seconds_with_loading": round(seconds, 1),
        "sentences_a_second": round(coverage["chunks"] / seconds, 1),
    }
    whole = coverage["characters_covered"] == len(text) and not coverage["truncated"]
    tell("a book's beginning", figures, answer["status"] == "ok" and whole and kept)


if __name__ == "__main__":
    typer.run(main)
