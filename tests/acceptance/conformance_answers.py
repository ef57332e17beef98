"""One member's answers: what transformers' own pipeline answers with the same model.

`python -m tests.acceptance.conformance_answers --count 300` (needs the train extra)
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from tests.support.answer_models import (
    ENSEMBLE,
    Question,
    bert,
    pipeline_answers,
    roberta,
)
from tests.support.answers_of_run import answers_of_run
from tests.support.exported_models import ExportedModel, shipped_model
from tests.support.report import say, tell
from tests.support.texts import rows

TOLERANCE = 1e-4
SETTINGS: tuple[dict[str, Any], ...] = (
    {"top_k": 1, "handle_impossible_answer": False},
    {"top_k": 1, "handle_impossible_answer": True},
    {"top_k": 3, "handle_impossible_answer": False},
    {"top_k": 3, "handle_impossible_answer": True},
    {"top_k": 3, "align_to_words": False},
)
MODELS: dict[str, Callable[[Path], ExportedModel]] = {"bert": bert, "roberta": roberta}
Answers = list[dict[str, Any]]


@dataclass(slots=True)
class Comparison:
    """How many questions and answers were compared, and how far apart they were.

    refused: questions that are too long for the window, to both
    left_out: answers of theirs that are empty and yet not the answer "there is none", or that end
        before they start: they are given there where a context has too few others
    """

    questions: int = 0
    refused: int = 0
    of_many_windows: int = 0
    answers: int = 0
    no_answers: int = 0
    left_out: int = 0
    different: int = 0
    largest_difference: float = 0.0

    def add(self, ours: dict[str, Any], theirs: Answers | None) -> None:
        """Take what was answered to one question; theirs: None where it was refused."""
        self.questions += 1
        if theirs is None or ours["status"] == "error":
            self.refused += theirs is None
            self.different += theirs is not None or ours["status"] != "error"
            return
        meant = [its for its in theirs if its["answer"] or its["start"] == its["end"] == 0]
        mine = ours["result"]["answers"][: len(meant)] if meant else []
        self.of_many_windows += ours["coverage"]["chunks"] > 1
        self.answers += len(meant)
        self.no_answers += sum(not its["answer"] for its in meant)
        self.left_out += len(theirs) - len(meant)
        if list(map(_words, mine)) != list(map(_words, meant)):
            self.different += 1
            say(f"ours {mine}, theirs {meant}")
            return
        for one, other in zip(mine, meant, strict=True):
            difference = abs(one["score"] - float(other["score"]))
            self.largest_difference = max(self.largest_difference, difference)

    @property
    def is_equal(self) -> bool:
        return not self.different and self.largest_difference <= TOLERANCE


def _words(answer: dict[str, Any]) -> tuple[Any, ...]:
    return answer["answer"], answer["start"], answer["end"]


def our_answers(
    models: Path, requests: Sequence[dict[str, Any]], folder: Path, ensemble: str = ENSEMBLE
) -> list[dict[str, Any]]:
    """By `streamproc run`; every answer's offsets and coverage are checked on the way.

    A question may be refused for being too long for the window, and for nothing else.
    """
    found = answers_of_run(
        "question-answering",
        models,
        ensemble,
        requests,
        folder,
        exits=(0, 1),
        settings={"MAX_MESSAGE_BYTES": str(8 * 1024 * 1024)},
        timeout_s=7200,
    )
    for request, response in zip(requests, found, strict=True):
        if response["status"] == "error":
            assert response["error"]["detail"].startswith("question: too long"), response
            continue
        context, coverage = request["context"], response["coverage"]
        for answer in response["result"]["answers"]:
            assert context[answer["start"] : answer["end"]] == answer["answer"]
        if not request.get("params", {}).get("truncate"):
            assert (coverage["characters_covered"], coverage["truncated"]) == (len(context), False)
    return found


def compare(model: ExportedModel, questions: Sequence[Question], folder: Path) -> list[Comparison]:
    """One comparison for each of SETTINGS."""
    requests = [
        {"question": question, "context": context, "params": params}
        for params in SETTINGS
        for question, context in questions
    ]
    answers = iter(our_answers(model.models, requests, folder, model.ensemble))
    found = []
    for params in SETTINGS:
        comparison = Comparison()
        for theirs in pipeline_answers(model, questions, **params):
            comparison.add(next(answers), theirs)
        found.append(comparison)
    return found


def short_questions(count: int) -> list[Question]:
    """Questions on paragraphs, half from `qa_squad11` and half from `qa_squadshifts`, spread over
    their articles."""
    chosen = []
    for data_set, share in (("qa_squad11", (count + 1) // 2), ("qa_squadshifts", count // 2)):
        every = list(rows(data_set))
        chosen += every[:: max(1, len(every) // max(1, share))][:share]
    return [(row["question"], row["context"]) for row in chosen]


def long_questions(documents: int) -> list[Question]:
    """One question on each of the first documents of `qa_longdoc_covid`."""
    return [
        (row["qas"][0]["question"], row["context"])
        for row in islice(rows("qa_longdoc_covid"), documents)
    ]


def main(
    count: int = 300,
    documents: int = 20,
    model: Annotated[list[str], typer.Option(help="bert, roberta")] = ["bert", "roberta"],  # noqa: B006
    ensemble: Annotated[str, typer.Option(help="one in the models folder, not random ones")] = "",
    member: int = 0,
) -> None:
    """Real questions on paragraphs and on whole papers; exit with 1 when an answer differs."""
    questions = short_questions(count) + long_questions(documents)
    figures: dict[str, Any] = {"questions": len(questions), "tolerance": TOLERANCE}
    good = True
    builds = {kind: MODELS[kind] for kind in model}
    if ensemble:
        builds = {
            ensemble: partial(
                shipped_model,
                ensemble=ensemble,
                member=member,
                architecture="BertForQuestionAnswering",
            )
        }
    for kind, build in builds.items():
        with tempfile.TemporaryDirectory() as place:
            found = compare(build(Path(place)), questions, Path(place))
        for params, comparison in zip(SETTINGS, found, strict=True):
            name = f"{kind} {orjson.dumps(params).decode()}"
            say(f"{name}: {comparison}")
            figures[name] = str(comparison)
            good = good and comparison.is_equal
    tell("answers against transformers' pipeline", figures, good)


if __name__ == "__main__":
    typer.run(main)
