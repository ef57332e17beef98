"""What reading all of a long document brings over reading its first window, in EM and F1.

`python -m tests.acceptance.long_answers --ensemble question-answering --count 150`
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from streamproc.offline.evaluation.squad import best_of, exact_match, f1
from streamproc.settings import read_settings
from tests.acceptance.conformance_answers import our_answers
from tests.support.report import tell
from tests.support.texts import rows


def paper_questions(count: int | None) -> list[dict[str, Any]]:
    """`context`, `question`, `answers` of `qa_longdoc_covid`, spread over its papers.

    count: None: all of them
    """
    every = [
        {"context": row["context"], "question": asked["question"], "answers": asked["answers"]}
        for row in rows("qa_longdoc_covid")
        for asked in row["qas"]
    ]
    if count is None or count >= len(every):
        return every
    return [every[number * len(every) // count] for number in range(count)]


def measured(
    responses: Sequence[dict[str, Any]], questions: Sequence[dict[str, Any]]
) -> dict[str, float]:
    """Mean exact match and F1, in per cent; a question that was refused has been answered by ""."""
    pairs = [
        (response.get("result", {}).get("answer", ""), question["answers"]["text"])
        for response, question in zip(responses, questions, strict=True)
    ]
    return {
        name: round(100 * sum(best_of(measure, *pair) for pair in pairs) / len(pairs), 2)
        for name, measure in (("exact_match", exact_match), ("f1", f1))
    }


def within_first_window(
    first_windows: Sequence[dict[str, Any]], questions: Sequence[dict[str, Any]]
) -> float:
    """Per cent of questions of which a right answer lies in the first window."""
    there = 0
    for response, question in zip(first_windows, questions, strict=True):
        covered = response.get("coverage", {}).get("characters_covered", 0)
        answers = question["answers"]
        places = zip(answers["answer_start"], answers["text"], strict=True)
        there += any(start + len(text) <= covered for start, text in places)
    return round(100 * there / len(questions), 1)


def main(
    ensemble: str = "question-answering",
    models_dir: Path | None = None,
    count: int | None = None,
    max_answer_tokens: int = 15,
) -> None:
    """Questions on whole papers; exit with 1 when windows over all of them bring no better F1."""
    questions = paper_questions(count)
    models = models_dir or read_settings().models_dir

    def ask(**params: Any) -> tuple[list[dict[str, Any]], float]:
        requests = [
            {
                "question": question["question"],
                "context": question["context"],
                "params": {"max_answer_tokens": max_answer_tokens, **params},
            }
            for question in questions
        ]
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            responses = our_answers(models, requests, Path(folder), ensemble)
        return responses, round(time.monotonic() - began, 1)

    first, first_seconds = ask(truncate=True)
    whole, seconds = ask()
    windows = sum(response.get("coverage", {}).get("chunks", 0) for response in whole)
    figures = {
        "ensemble": ensemble,
        "questions": len(questions),
        "papers": len({question["context"] for question in questions}),
        "refused": sum(response["status"] == "error" for response in whole),
        "windows_a_question": round(windows / len(questions), 1),
        "answer_in_first_window_per_cent": within_first_window(first, questions),
        "all_windows": measured(whole, questions),
        "all_windows_seconds": seconds,
        "first_window": measured(first, questions),
        "first_window_seconds": first_seconds,
    }
    better = figures["all_windows"]["f1"] > figures["first_window"]["f1"]
    tell("answers out of whole papers", figures, better)


if __name__ == "__main__":
    typer.run(main)
