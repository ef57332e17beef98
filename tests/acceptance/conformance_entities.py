"""One member's entities: what transformers' own pipeline finds with the same model.

`python -m tests.acceptance.conformance_entities --count 300` (needs the train extra)
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from tests.support.answers_of_run import answers_of_run
from tests.support.entity_models import (
    byte_level_classifier,
    pipeline_answers,
    word_piece_classifier,
)
from tests.support.exported_models import ExportedModel, shipped_model
from tests.support.report import say, tell
from tests.support.texts import entity_texts, rows

TOLERANCE = 1e-4
AGGREGATIONS = ("none", "simple", "first", "average", "max")
Entities = list[dict[str, Any]]


@dataclass(slots=True)
class Comparison:
    """How many texts and entities were compared, and how far apart they were."""

    texts: int = 0
    entities: int = 0
    different_texts: int = 0
    largest_difference: float = 0.0

    def add(self, ours: Entities, theirs: Entities) -> None:
        """Take what was found in one text."""
        self.texts += 1
        self.entities += len(theirs)
        if list(map(_place, ours)) != list(map(_place, theirs)):
            self.different_texts += 1
            return
        for mine, its in zip(ours, theirs, strict=True):
            difference = abs(mine["score"] - float(its["score"]))
            self.largest_difference = max(self.largest_difference, difference)

    @property
    def is_equal(self) -> bool:
        return not self.different_texts and self.largest_difference <= TOLERANCE


def _place(entity: dict[str, Any]) -> tuple[Any, ...]:
    """All of an entity but its score, and its word, which transformers spells as tokens."""
    return tuple(entity.get(name) for name in ("entity", "entity_group", "index", "start", "end"))


def our_answers(
    classifier: ExportedModel, requests: Sequence[dict[str, Any]], folder: Path
) -> list[dict[str, Any]]:
    """By `streamproc run`; every answer's words and coverage are checked on the way."""
    found = answers_of_run(
        "token-classification",
        classifier.models,
        classifier.ensemble,
        requests,
        folder,
        settings={"MAX_MESSAGE_BYTES": str(8 * 1024 * 1024)},
    )
    for request, answer in zip(requests, found, strict=True):
        text, coverage = request["text"], answer["coverage"]
        for entity in answer["result"]["entities"]:
            assert text[entity["start"] : entity["end"]] == entity["word"]
        if not request["params"].get("truncate"):
            assert (coverage["characters_covered"], coverage["truncated"]) == (len(text), False)
    return found


def compare(
    classifier: ExportedModel, texts: Sequence[str], folder: Path, *, windows: bool
) -> dict[str, Comparison]:
    """Every way of aggregating, by its name; `windows` as `pipeline_answers` takes it."""
    aggregations = AGGREGATIONS[1:] if windows else AGGREGATIONS
    stitch = {"stitch": "longest"} if windows else {"truncate": True}
    requests = [
        {"text": text, "params": {"aggregation": aggregation, **stitch}}
        for aggregation in aggregations
        for text in texts
    ]
    answers = iter(our_answers(classifier, requests, folder))
    found = {aggregation: Comparison() for aggregation in aggregations}
    for aggregation, comparison in found.items():
        for theirs in pipeline_answers(classifier, texts, aggregation, windows=windows):
            comparison.add(next(answers)["result"]["entities"], theirs)
    return found


def main(
    count: int = 300,
    documents: int = 20,
    book_characters: int = 50_000,
    ensemble: Annotated[str, typer.Option(help="one in the models folder, not random ones")] = "",
    member: int = 0,
) -> None:
    """Real texts of one window, long documents of many, and whole books, these for their offsets
    and coverage alone; exit with 1 when anything differs.

    documents: how many that are no books; book_characters: of every book so many are compared
    """
    long = list(rows("longdocs"))
    books = [row["text"] for row in long if row["kind"] == "book"]
    texts = entity_texts(count)
    many = [row["text"] for row in long if row["kind"] != "book"][:documents]
    many += [book[:book_characters] for book in books]
    figures: dict[str, Any] = {"texts": len(texts), "documents": len(many)}
    good = True
    builds: dict[str, Callable[[Path], ExportedModel]] = {
        "wordpiece": word_piece_classifier,
        "bytes": byte_level_classifier,
    }
    if ensemble:
        builds = {
            ensemble: partial(
                shipped_model,
                ensemble=ensemble,
                member=member,
                architecture="BertForTokenClassification",
            )
        }
    for kind, build in builds.items():
        with tempfile.TemporaryDirectory() as place:
            classifier = build(Path(place))
            for windows, chosen in ((False, texts), (True, many)):
                for aggregation, found in compare(
                    classifier, chosen, Path(place), windows=windows
                ).items():
                    name = f"{kind}_{'windows' if windows else 'window'}_{aggregation}"
                    say(f"{name}: {found}")
                    good = good and found.is_equal
                    figures[name] = asdict(found)
            requests = [{"text": book, "params": {}} for book in books]
            answers = our_answers(classifier, requests, Path(place))
            figures[f"{kind}_books"] = {
                "books": len(books),
                "characters": sum(map(len, books)),
                "chunks": sum(answer["coverage"]["chunks"] for answer in answers),
                "entities": sum(len(answer["result"]["entities"]) for answer in answers),
            }
    tell("entities against transformers' pipeline", figures, good)


if __name__ == "__main__":
    typer.run(main)
