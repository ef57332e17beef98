"""However a run of many rows is interrupted, the next one completes what the first would have."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from streamproc.offline.bulk.answer_counts import AnswerCounts
from streamproc.offline.bulk.answer_format import JsonLines
from streamproc.offline.bulk.request_rows import RequestRow
from streamproc.offline.bulk.resumable_file import ResumableFile
from streamproc.offline.documents.row import RowSource

# Few, so that rows are equal; what begins with "bad" has an error.
TEXTS = st.lists(st.sampled_from(["a", "b", "c", "bad 1", "bad 2"]), max_size=12)


class Killed(Exception):
    pass


def rows_of(texts: Sequence[str]) -> list[RequestRow]:
    return [
        RequestRow(
            number,
            f"row {number}",
            orjson.dumps({"text": text}),
            source=RowSource("a.csv", number),
            columns={"place": number},
        )
        for number, text in enumerate(texts, 1)
    ]


def answer_to(row: RequestRow) -> dict[str, Any]:
    text = orjson.loads(row.value or b"")["text"]
    if text.startswith("bad"):
        error = {"type": "failed", "title": "poison", "detail": text}
        return {"id": row.id, "status": "error", "error": error}
    return {"id": row.id, "status": "ok", "text": text}


def expected(texts: Sequence[str]) -> list[dict[str, Any]]:
    return [
        answer_to(row)
        | {"source": {"file": "a.csv", "row": row.number}, "columns": {"place": row.number}}
        for row in rows_of(texts)
    ]


class Run:
    """A run over rows; `asked` are those that it had to ask."""

    def __init__(self, output: Path, texts: Sequence[str], **how: bool) -> None:
        self.counts = AnswerCounts()
        form = JsonLines(source=True, columns=True)
        self.file = ResumableFile(output, b"", self.counts, form, **how)
        self.rows = rows_of(texts)
        self.asked: list[RequestRow] = []

    def answer(self, order: Sequence[int] | None = None, *, killed: bool = False) -> None:
        """Answer all rows; order: of those that are asked only these, then be killed."""
        with suppress(Killed), self.file as file:
            self.asked = list(file.left(self.rows))
            chosen = self.asked if order is None else [self.asked[at] for at in order]
            for row in chosen:
                answer = answer_to(row)
                file.write(row, orjson.dumps(answer))
                self.counts.add(answer)
            if killed or order is not None:
                raise Killed
            for _ in file.finish():
                pass


@given(TEXTS, st.data())
def test_any_order_of_answers_and_any_cut_of_the_file_that_keeps_them_ends_in_the_same_output(
    texts: list[str], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(texts))))
    answered = order[: data.draw(st.integers(0, len(texts)))]
    with TemporaryDirectory() as folder:
        output = Path(folder) / "answers.jsonl"
        killed = Run(output, texts)
        killed.answer(answered)
        kept = killed.file.path.read_bytes() if killed.file.path.exists() else b""
        cut = kept[: data.draw(st.integers(0, len(kept)))]
        zeros = data.draw(st.sampled_from([0, 3]))  # as after a power failure
        killed.file.path.write_bytes(cut + bytes(zeros))

        resumed = Run(output, texts)
        resumed.answer()

        assert list(map(orjson.loads, output.read_bytes().splitlines())) == expected(texts)
        whole = cut.count(b"\n")
        assert len(resumed.asked) == len(texts) - whole
        assert (resumed.counts.kept, resumed.counts.new) == (whole, len(texts) - whole)
        bad = [text for text in texts if text.startswith("bad")]
        assert resumed.counts.errors.total() == len(bad)
        left = sorted(path.name for path in output.parent.iterdir())
        assert left == ["answers.jsonl", "answers.jsonl.part"][: 2 if bad else 1]


@given(TEXTS, TEXTS)
def test_only_what_changed_in_the_input_is_asked_wherever_rows_have_moved(
    before: list[str], after: list[str]
) -> None:
    with TemporaryDirectory() as folder:
        output = Path(folder) / "answers.jsonl"
        Run(output, before).answer(range(len(before)))

        resumed = Run(output, after)
        resumed.answer()

        assert list(map(orjson.loads, output.read_bytes().splitlines())) == expected(after)
        asked = [orjson.loads(row.value or b"")["text"] for row in resumed.asked]
        for text in {*before, *after}:
            new = after.count(text) - before.count(text)
            assert asked.count(text) == max(0, new)


@given(TEXTS, st.integers(0, 3))
def test_errors_are_asked_again_only_when_told_to_and_as_often_as_told(
    texts: list[str], retries: int
) -> None:
    bad = [row.number for row in rows_of(texts) if answer_to(row)["status"] == "error"]
    with TemporaryDirectory() as folder:
        output = Path(folder) / "answers.jsonl"
        Run(output, texts).answer()
        for _ in range(retries if bad else 0):
            retried = Run(output, texts, retry_errors=True)
            retried.answer()
            assert [row.number for row in retried.asked] == bad
        again = Run(output, texts)
        again.answer()

        assert len(again.asked) == (0 if bad else len(texts))
        assert list(map(orjson.loads, output.read_bytes().splitlines())) == expected(texts)


@given(st.lists(TEXTS, min_size=1, max_size=4), st.booleans())
def test_however_often_the_input_changes_what_is_there_in_the_end_is_asked_once(
    versions: list[list[str]], retry: bool
) -> None:
    with TemporaryDirectory() as folder:
        output = Path(folder) / "answers.jsonl"
        for texts in versions:
            Run(output, texts, retry_errors=retry).answer(killed=True)

        again = Run(output, versions[-1])
        again.answer()

        assert again.asked == []
        assert list(map(orjson.loads, output.read_bytes().splitlines())) == expected(versions[-1])
