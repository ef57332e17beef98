from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from faust.types import TP

from streamproc.kafka.consumer_state import ConsumerState
from streamproc.kafka.progress import ProgressNotes

ONE, OTHER = TP("rq", 0), TP("rq", 1)
CONSUMER: Any = SimpleNamespace(_subscription=SimpleNamespace(subscription=None))


def batch(*offsets: int) -> list[Any]:
    return [SimpleNamespace(offset=offset) for offset in offsets]


def test_each_batch_says_what_was_handed_out_before_it() -> None:
    notes = ProgressNotes(ConsumerState())
    notes.begin({ONE: 4, OTHER: None})
    first = notes.note(CONSUMER, 3, {ONE: batch(4, 5, 9)})
    second = notes.note(CONSUMER, 3, {OTHER: batch(0), ONE: batch(10)})
    assert {tp: one.after for tp, one in first.items()} == {ONE: -1}
    assert {tp: one.after for tp, one in second.items()} == {OTHER: -1, ONE: 9}
    assert [record.offset for record in first[ONE]] == [4, 5, 9]
    assert {one.generation for one in (*first.values(), *second.values())} == {3}


def test_an_assignment_that_begins_has_handed_out_nothing() -> None:
    notes = ProgressNotes(ConsumerState())
    notes.begin({ONE: 4})
    notes.note(CONSUMER, 3, {ONE: batch(4, 5)})
    notes.begin({ONE: 4})
    assert notes.note(CONSUMER, 3, {ONE: batch(4)})[ONE].after == -1
