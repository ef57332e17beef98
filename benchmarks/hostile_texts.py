"""`python -m benchmarks.hostile_texts`: what a text costs that was made to cost as much as it can.

Every text function of every task runs over texts of doubling sizes, without models: chunking,
tokenizing, sentences, stitching, prompts, splicing, masking, and the readers of documents. For each
text and function it prints the seconds a MB at the largest size, and how much more time twice the
text takes. What takes three times as long or more for twice the text is not linear; there the exit
code is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.report import RESULTS
from streamproc.enrichment.json_event import JsonEvent
from streamproc.enrichment.redaction import Mask, masked
from streamproc.errors import Invalid
from streamproc.logs.printable import printable
from streamproc.messages.json_spans import member_span
from streamproc.offline.documents.document import DocumentError
from streamproc.offline.documents.readers.html import read_html
from streamproc.offline.documents.readers.mail import read_mail
from streamproc.offline.documents.readers.markdown import read_markdown
from streamproc.offline.documents.readers.plain_text import read_plain_text
from streamproc.repository.repository import Repository
from streamproc.serving.decoding.settled_text import SettledText
from streamproc.serving.decoding.stopping_criteria import StopStrings
from streamproc.serving.inference.batch import MemberOutput
from streamproc.serving.loading import load_spec
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.seq2seq_job import Seq2SeqJob
from streamproc.settings import read_settings

MB: Final = 1_000_000
TOO_STEEP: Final = 3.0
"""Times as long for twice the text: linear is 2, quadratic 4."""

LEAST_S: Final = 0.2
"""Of less than this the growth is noise."""

UNITS: Final[Mapping[str, str]] = {
    "full stops": ". ",
    "full stops joined": ".",
    "ellipses": ". . . ",
    "question marks": "? ",
    "open parentheses": "(",
    "open parentheses with stops": "(. ",
    "parentheses": "a (b.) ",
    "closed parentheses": ".) ",
    "brackets": "[[(（",
    "one word": "a",
    "one capital word": "A",
    "words": "word ",
    "single letters": "a ",
    "long words": "a" * 1000 + " ",
    "combining marks": "a\u0301\u0302\u0303",
    "combining marks alone": "\u0301",
    "marks in disorder": "\u0301\u0323",
    "line feeds": "\n",
    "lines": "line\n",
    "CRLF": "\r\n",
    "full lines": "x" * 60 + "\n",
    "full lines of spaces": " " * 60 + "\n",
    "form feeds": "a\f",
    "spaces": " ",
    "spaces in a sentence": "a" + " " * 5000 + "b",
    "no-break spaces": "\u00a0",
    "ideographic spaces": "\u3000",
    "emoji joined": "👩\u200d👩\u200d👧\u200d👦",
    "joiners": "\u200d",
    "flags": "🇩🇪",
    "skin tones": "👍🏽",
    "quotes": '"',
    "quoted sentences": '"Hi." said he. ',
    "quotes behind stops": '."',
    "apostrophes": "'",
    "quoted Chinese": "「好。」说",
    "Chinese full stops": "。",
    "Chinese": "你好世界",
    "URLs": "https://example.com/a?b=c&d=e#f ",
    "one URL": "/a.b",
    "digits": "1",
    "numbers": "1. ",
    "initials": "A. ",
    "abbreviations": "e.g. Mr. ",
    "hyphens": "-",
    "bullets": "- a\n",
    "headings": "# ",
    "commas": ", ",
    "semicolons": "; ",
    "stars": "*a ",
    "underscores": "_a_",
    "backticks": "`",
    "open tags": "<b>",
    "open angles": "<",
    "entities": "&lt;",
    "ampersands": "&",
    "quotation signs": "> ",
    "open links": "[a](",
    "images": "![",
    "tables": "|a",
    "backslashes": "\\",
    "control characters": "\x01",
    "right to left": "\u202eab",
    "zero bytes": "\0",
    "replacement characters": "\ufffd",
    "decomposed Korean": "\u1112\u1161\u11ab",
    "Thai": "สวัสดี",
    "private use": "\ue000",
    "beyond the first plane": "\U00020000",
}
"""What each text repeats."""

Way = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Figure:
    """One text through one function.

    seconds: of a CPU, for the whole text
    growth: times as long for twice the text
    """

    text: str
    way: str
    seconds: float
    seconds_per_mb: float
    growth: float

    @property
    def tells_growth(self) -> bool:
        return self.seconds >= LEAST_S

    @property
    def is_steep(self) -> bool:
        return self.tells_growth and self.growth >= TOO_STEEP


def repeated(unit: str, characters: int) -> str:
    """The unit again and again, and cut to so many characters."""
    return (unit * (characters // len(unit) + 1))[:characters]


def ways(models: Path) -> dict[str, Way]:
    """Every text function, by task or by what it is for, with the ensembles of a folder."""
    specs = {name: _spec(models, name) for name in Repository(models).names()}
    by_task: dict[str, EnsembleSpec] = {
        Repository(models).open(name).manifest.task: spec for name, spec in specs.items()
    }
    found: dict[str, Way] = {}
    for task, params in _SCORED:
        if task in by_task:
            name = " ".join((task, *(str(value) for value in params.values())))
            found[name] = _scored(task, params, by_task[task])
    if "translation" in by_task:
        found["translation"] = _written("translation", by_task["translation"])
        # The same shape of members; there need not be an ensemble for it.
        found["summarization"] = _written("summarization", by_task["translation"])
    if "text-generation" in by_task:
        spec = by_task["text-generation"]
        for end in ("start", "end", None):
            found[f"text-generation, cut: {end}"] = _prompted(spec, end)
        found["text-generation, shown"] = _shown(spec)
    return {**found, **_AROUND}


_SCORED: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("text-classification", {}),
    ("token-classification", {"aggregation": "simple"}),
    ("token-classification", {"aggregation": "average"}),
    ("token-classification", {"aggregation": "none"}),
    ("token-classification", {"stitch": "longest"}),
    ("question-answering", {"align_to_words": True, "top_k": 100}),
)


def _spec(models: Path, name: str) -> EnsembleSpec:
    stored = Repository(models).open(name)
    return load_spec(stored, task_named(stored.manifest.task))


def _scored(task: str, params: Mapping[str, Any], spec: EnsembleSpec) -> Way:
    """A text through a task that scores chunks, by scores of a fixed table."""
    table = np.random.default_rng(0).normal(size=(1009, max(2, len(spec.labels))))
    per_token = task != "text-classification"

    def read(text: str) -> object:
        given = {"text": text}
        if task == "question-answering":
            given = {"question": "What?", "context": text}
        job = task_named(task).begin(given, params, spec)
        for chunk in job.chunks():
            rows = table[np.asarray(chunk.ids) % len(table)]
            scores = rows if per_token else rows.sum(axis=0)
            job.add(chunk, tuple(MemberOutput(one.name, scores) for one in spec.members))
        return job.answer()

    return read


def _written(task: str, spec: EnsembleSpec) -> Way:
    """A text cut into spans and put together again, as if each were its own translation."""

    def read(text: str) -> object:
        job = task_named(task).begin({"text": text}, {}, spec)
        assert isinstance(job, Seq2SeqJob)
        together = job.new_text()
        for span, _ in job.spans(job.most_tokens):
            together.add(span, text[span.start : span.end], finished=True)
        return together.result()

    return read


def _prompted(spec: EnsembleSpec, end: str | None) -> Way:
    def read(text: str) -> object:
        params = {} if end is None else {"truncate": end}
        return list(task_named("text-generation").begin({"text": text}, params, spec).chunks())

    return read


def _shown(spec: EnsembleSpec) -> Way:
    """A text that a model writes, shown token by token, stop strings looked for.

    It is as long as the model may write: of a text that is nothing but "\ufffd" all is looked at
    with each token, as any of them may be a character that is not whole.
    """
    tokenizer, most_tokens = spec.tokenizer, spec.decodes.max_tokens

    def write(text: str) -> object:
        tokens = tokenizer.encode(text[: 4 * most_tokens]).ids.tolist()[:most_tokens]
        stop = ("\n\n\n\nnever", "a" * 1000 + "b")
        shown = SettledText(tokenizer.decode, tokenizer.ends_bytes, tokens[:100], stop)
        stopping = StopStrings(stop, tokenizer.decode, tokens[:100])
        return [(shown.add(token), stopping.reached(token)) for token in tokens]

    return write


def _spliced(text: str) -> bytes:
    event = JsonEvent(orjson.dumps({"a": {"text": text}, "list": text.split(" ")[:100_000]}))
    list(event.find(("a", "text")))
    return event.with_values({("a", "mood"): b'"good"', ("b", "c"): b"1"})


def _masked(text: str) -> str:
    return masked(text, [Mask(at, at + 3, "***") for at in range(0, len(text) - 3, 5)])


_AROUND: Final[Mapping[str, Way]] = {
    "metadata": lambda text: member_span(orjson.dumps({"id": "1", "metadata": [text]}), "metadata"),
    "splicing": _spliced,
    "masking": _masked,
    "printing": printable,
    "HTML": lambda text: read_html(text.encode(), "utf-8"),
    "Markdown": lambda text: read_markdown(text.encode(), "utf-8"),
    "plain text": lambda text: read_plain_text(text.encode(), "utf-8"),
    "mail": lambda text: read_mail(b"Subject: x\n\n" + text.encode(), "utf-8"),
    "mail, subject": lambda text: read_mail(
        b"Subject: " + text.replace("\n", " ").replace("\r", " ").encode() + b"\n\nx", "utf-8"
    ),
}


def measured(
    texts: Collection[str], chosen: Mapping[str, Way], characters: int, limit_s: float
) -> Iterator[Figure]:
    """Each text through each function, at a half and at the whole of so many characters.

    limit_s: what takes longer at the half is not tried at the whole, and counts as endless
    """
    for name in texts:
        half = repeated(UNITS[name], characters // 2)
        whole = repeated(UNITS[name], characters)
        for way, function in chosen.items():
            first = _seconds(function, half)
            second = _seconds(function, whole) if first < limit_s else float("inf")
            growth = second / max(first, 1e-6)
            yield Figure(name, way, second, second * MB / characters, growth)


def _seconds(function: Way, text: str) -> float:
    """Of two tries the shorter, unless one takes long enough to be sure of."""
    taken: list[float] = []
    while len(taken) < 2 and sum(taken) < 1:
        began = time.process_time()
        with suppress(Invalid, DocumentError):  # refusing is an answer, too
            function(text)
        taken.append(time.process_time() - began)
    return min(taken)


def main() -> None:
    """Print a row for each function: its slowest texts, and those that are not linear."""
    asked = _arguments()
    chosen = {
        name: way
        for name, way in ways(read_settings().models_dir).items()
        if not asked.way or any(part in name for part in asked.way)
    }
    figures: list[Figure] = []
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    for text in asked.text or UNITS:
        for figure in measured([text], chosen, asked.characters, asked.limit_s):
            figures.append(figure)
            if figure.is_steep:
                print(f"not linear: {figure}", file=sys.stderr, flush=True)
        # After each text, as all of them take the better part of an hour at 1 MB.
        asked.json.write_text(json.dumps([asdict(one) for one in figures], indent=1))
    Console().print(_table(figures))
    if any(figure.is_steep for figure in figures):
        sys.exit("some texts take more than in proportion to their length")


def _table(figures: Collection[Figure]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for heading in ("function", "median s/MB", "slowest s/MB", "text", "largest growth", "text"):
        table.add_column(heading)
    for way in dict.fromkeys(figure.way for figure in figures):
        own = [figure for figure in figures if figure.way == way]
        slowest = max(own, key=lambda one: one.seconds_per_mb)
        told = [one for one in own if one.tells_growth]
        steepest = max(told, key=lambda one: one.growth, default=None)
        table.add_row(
            way,
            f"{np.median([one.seconds_per_mb for one in own]):.2f}",
            f"{slowest.seconds_per_mb:.2f}",
            slowest.text,
            f"{steepest.growth:.1f}" if steepest else "",
            steepest.text if steepest else "",
        )
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.hostile_texts", description=__doc__)
    parser.add_argument("--characters", type=int, default=MB)
    parser.add_argument("--limit-s", type=float, default=60.0)
    parser.add_argument("--text", action="append", choices=list(UNITS))
    parser.add_argument("--way", action="append", help="part of a function's name")
    parser.add_argument("--json", type=Path, default=RESULTS / "hostile-texts.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
