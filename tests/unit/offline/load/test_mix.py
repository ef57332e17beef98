"""Mixes as they are written, and the requests that are drawn from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamproc.errors import SettingsError
from streamproc.messages.lane import Lane
from streamproc.offline.load.arrivals import Arrival
from streamproc.offline.load.mix import QUESTION, Kind, Mix, Text, parse_lengths, parse_mix
from streamproc.offline.load.texts import read_texts


def test_weights_and_lanes_are_read() -> None:
    kinds = parse_mix(["translation", "text-classification/bulk=3", "translation=4"])

    assert list(kinds.choices) == [
        Kind("translation", Lane.INTERACTIVE),
        Kind("text-classification", Lane.BULK),
    ]
    assert kinds.shares == pytest.approx([5 / 8, 1.0])


@pytest.mark.parametrize(
    "written", ["translate", "translation/fast", "translation=0", "translation=-1", "translation=x"]
)
def test_a_mix_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(SettingsError):
        parse_mix([written])


@pytest.mark.parametrize("written", ["0", "-4", "long", "4.5", "400=0", "400=nan", "²"])
def test_a_length_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(SettingsError):
        parse_lengths([written])


def test_a_request_has_the_fields_of_its_task() -> None:
    texts = [Text("Ada wrote it.")]
    rng = np.random.default_rng(0)
    asked = Mix(parse_mix(["question-answering"]), texts, ensemble="mine").draw(rng)
    written = Mix(parse_mix(["text-generation"]), texts).draw(rng)

    assert asked.body == {"ensemble": "mine", "question": QUESTION, "context": "Ada wrote it."}
    assert written.body == {"text": "Ada wrote it."}


def test_what_a_trace_says_goes_before_the_mix() -> None:
    mix = Mix(parse_mix(["text-classification"]), [Text("abcdef")], parse_lengths(["2"]))
    arrival = Arrival(0.0, 3, "translation", Lane.BULK)
    question = mix.draw(np.random.default_rng(0), arrival)

    assert question.kind == Kind("translation", Lane.BULK)
    assert question.body == {"text": "abc"}


def test_texts_come_from_lines_and_from_rows(tmp_path: Path) -> None:
    lines, rows = tmp_path / "texts.txt", tmp_path / "rows.jsonl"
    lines.write_text("one\n\ntwo\n", "utf-8")
    rows.write_text('{"text": "a"}\n{"context": "b", "question": "Who?"}\n', "utf-8")

    assert read_texts(lines) == [Text("one"), Text("two")]
    assert read_texts(rows) == [Text("a"), Text("b", "Who?")]


@pytest.mark.parametrize("content", ['{"text": 1}\n', '{"label": "a"}\n', '{"text": " "}\n', "[\n"])
def test_a_file_without_texts_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content, "utf-8")
    with pytest.raises(SettingsError) as refused:
        read_texts(path)

    assert str(path) in str(refused.value)
