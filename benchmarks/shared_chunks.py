"""`python -m benchmarks.shared_chunks`: what a cache of single chunks could answer.

How much of real documents is in chunks that another document before them had: in windows of tokens,
which classifications are asked of, and in sentences, which translations are. Beside it how much is
in paragraphs that another one had, which is what chunks could share at best. No model is run.
"""

from __future__ import annotations

import gzip
import random
import re
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.report import RESULTS, write_json
from streamproc.errors import OperatorError
from streamproc.repository.repository import Repository
from streamproc.serving.chunking.sentences import sentences
from streamproc.serving.chunking.windows import windows
from streamproc.serving.loading import load_spec
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.settings import read_settings

Unit = tuple[Hashable, int]
"""A part of a document, and its size."""
Cut = Callable[[str], Iterable[Unit]]
SETS: Final = {
    "reviews": ("sentiment_open", "text"),
    "tweets, comments, posts": ("load_social", "text"),
    "books, speeches, articles": ("longdocs", "text"),
    "papers": ("qa_longdoc_covid", "context"),
    "paragraphs of articles": ("qa_squad11", "context"),
    "short sentences": ("mt_tatoeba_ende", "src"),
}
_PARAGRAPH_END: Final = re.compile(r"\n\s*\n")


def shared_share(documents: Sequence[str], cut: Cut) -> float:
    """The share of documents' size that is in units which a document before had; 0 to 1.

    Each document is to differ from all others: for equal ones an answer is kept already.
    """
    seen: set[Hashable] = set()
    whole = shared = 0
    for document in documents:
        units = list(cut(document))
        whole += sum(size for _, size in units)
        shared += sum(size for unit, size in units if unit in seen)
        seen.update(unit for unit, _ in units)
    return shared / whole if whole else 0.0


def distinct(texts: Iterable[str]) -> list[str]:
    """Each text once, in the order that they come in."""
    return list(dict.fromkeys(texts))


def edited(documents: Sequence[str], seed: int = 0) -> list[str]:
    """Each document, and the same with one word more at a random place."""
    draw, made = random.Random(seed), []
    for document in documents:
        words = document.split(" ")
        words.insert(draw.randrange(len(words) + 1), "indeed")
        made += [document, " ".join(words)]
    return distinct(made)


def quoted(documents: Sequence[str]) -> list[str]:
    """Each document, and the same below a line of its own, as replies quote what they answer."""
    replies = (f"Reply {number}\n\n{one}" for number, one in enumerate(documents))
    return distinct([*documents, *replies])


def paragraphs(text: str) -> Iterator[Unit]:
    """Parts between empty lines."""
    for part in _PARAGRAPH_END.split(text):
        if found := part.strip():
            yield found, len(found)


def of_sentences(text: str) -> Iterator[Unit]:
    """Sentences as translation finds them."""
    for one in sentences(text):
        found = text[one.start : one.end]
        yield found, len(found)


def of_windows(spec: EnsembleSpec) -> Cut:
    """Windows as an ensemble's texts are cut into."""

    def cut(text: str) -> Iterator[Unit]:
        tokens, frame = spec.tokenizer.stream(text), spec.tokenizer.frame
        for chunk in windows(tokens, frame, spec.window, len(text)):
            yield chunk.ids.tobytes(), len(chunk)

    return cut


def main(
    ensemble: Annotated[str, typer.Option(help="whose windows")] = "sentiment",
    json: Annotated[Path, typer.Option(help="where figures are written")] = RESULTS
    / "shared-chunks.json",
) -> None:
    """Print a table, write the JSON."""
    settings = read_settings()
    if settings.data is None:
        sys.exit("Nothing was measured: STREAMPROC_DATA names the folder of data sets.")
    try:
        stored = Repository(settings.models_dir).open(ensemble)
        spec = load_spec(stored, task_named(stored.manifest.task))
    except OperatorError as error:
        sys.exit(str(error))
    cuts: dict[str, Cut] = {
        "windows": of_windows(spec),
        "sentences": of_sentences,
        "paragraphs": paragraphs,
    }
    found: dict[str, dict[str, Any]] = {}
    for name, documents in _document_sets(settings.data):
        shares = {cut: shared_share(documents, cuts[cut]) for cut in cuts}
        characters = sum(map(len, documents))
        found[name] = {"documents": len(documents), "characters": characters, **shares}
    _print(found, list(cuts))
    write_json(json, {"ensemble": ensemble, "window": list(_sizes(spec)), "shared": found})


def _sizes(spec: EnsembleSpec) -> tuple[int, int]:
    return spec.window.max_tokens, spec.window.overlap_tokens


def _document_sets(data: Path) -> Iterator[tuple[str, list[str]]]:
    for name, (folder, field) in SETS.items():
        rows = [row for file in sorted((data / folder).glob("*.jsonl.gz")) for row in _rows(file)]
        documents = distinct(row[field] for row in rows)
        yield name, documents
        if name == "papers":
            yield "papers, and one word more in each", edited(documents)
            yield "papers, and quoted by replies", quoted(documents)


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    with gzip.open(file) as lines:
        for line in lines:
            yield orjson.loads(line)


def _print(found: Mapping[str, Mapping[str, Any]], cuts: Sequence[str]) -> None:
    table = Table("documents", "", *(f"in shared {cut}" for cut in cuts), box=SIMPLE_HEAD)
    for name, one in found.items():
        shares = (f"{100 * one[cut]:.2f} %" for cut in cuts)
        table.add_row(name, f"{one['documents']:,}", *shares)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
