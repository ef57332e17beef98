"""How much of documents is in parts that a document before them had."""

from __future__ import annotations

from benchmarks.shared_chunks import (
    distinct,
    edited,
    of_sentences,
    of_windows,
    paragraphs,
    quoted,
    shared_share,
)
from streamproc.testing import build_spec

FIRST = "The film is good.\n\nThe end is bad."
SECOND = "The end is bad.\n\nNobody knows why."


def test_what_a_document_before_had_is_shared_and_what_comes_twice_in_one_is_not() -> None:
    shared, own = len("The end is bad."), len("Nobody knows why.")

    assert shared_share([FIRST, SECOND], paragraphs) == shared / (2 * shared + own + 17)
    assert shared_share([FIRST, SECOND], of_sentences) > 0.2
    assert shared_share([f"{FIRST}\n\n{FIRST}"], paragraphs) == 0
    assert shared_share([], paragraphs) == 0


def test_windows_share_what_stands_before_the_first_difference_and_nothing_behind_it() -> None:
    cut = of_windows(build_spec())
    long = "the good bad film " * 20
    same_beginning, other_beginning = f"{long} x", f"x {long}"

    assert shared_share([long, same_beginning], cut) > 0.4
    assert shared_share([long, other_beginning], cut) < 0.2


def test_made_documents_differ_by_a_word_or_by_what_stands_above() -> None:
    documents = distinct([FIRST, SECOND, FIRST])

    assert documents == [FIRST, SECOND]
    assert [len(one.split(" ")) for one in edited(documents)] == [7, 8, 6, 7]
    assert quoted(documents)[2:] == [f"Reply 0\n\n{FIRST}", f"Reply 1\n\n{SECOND}"]
