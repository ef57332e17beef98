"""Dead letters: what they say of themselves, and what is put back."""

from __future__ import annotations

import pytest

from streamproc.errors import OperatorError
from streamproc.kafka.dead_letters import DeadLetter, Selection
from streamproc.messages.outgoing import dead_letter, without_original
from streamproc.messages.record import Record
from streamproc.messages.request import Request, read_request
from streamproc.messages.response import Problem


def letter(
    value: bytes | None = b'{"id": "a", "text": 1}', request_id: str | None = "a"
) -> DeadLetter:
    """A dead letter as the pipeline leaves it, consumed from `dlq`."""
    request = Record("rq", 2, 40, 1000, b"key", value, (("traceparent", b"00"),))
    out = dead_letter(request, Problem("invalid", "title", "detail"), request_id, "dlq")
    return DeadLetter(Record("dlq", 1, 7, 2000, out.key, out.value, out.headers))


def test_a_letter_says_what_was_wrong_and_where_it_came_by() -> None:
    found = letter()
    assert (found.offset_name, found.request_id, found.type) == ("1:7", "a", "invalid")
    assert (found.title, found.detail, found.request_topic) == ("title", "detail", "rq")


def test_the_original_has_its_bytes_key_and_headers_and_its_id() -> None:
    original = letter(b"\xff\x00").original({"rq"})
    assert (original.topic, original.key, original.value) == ("rq", b"key", b"\xff\x00")
    assert original.headers == (("traceparent", b"00"), ("streamproc-original-id", b"a"))


def test_a_replayed_request_without_an_id_keeps_the_one_it_was_given() -> None:
    original = letter(b'{"text": "x"}', request_id=None).original({"rq"})
    again = Record("rq", 0, 99, 0, original.key, original.value, original.headers)
    request = read_request(again, 1 << 20)
    assert isinstance(request, Request)
    assert request.id == "rq:2:40"


def test_a_letter_whose_original_was_too_large_says_that_it_has_none() -> None:
    request = Record("rq", 2, 40, 1000, b"key", b"x" * 100, ())
    bare = without_original(dead_letter(request, Problem("invalid", "title", "detail"), "a", "dlq"))
    found = DeadLetter(Record("dlq", 1, 7, 2000, bare.key, bare.value, bare.headers))
    assert (found.has_original, found.request_id, letter().has_original) == (False, "a", True)


def test_a_letter_from_an_undescribed_topic_is_not_put_back() -> None:
    with pytest.raises(OperatorError, match="not a described request topic"):
        letter().original({"other"})


@pytest.mark.parametrize(
    ("selection", "has"),
    [
        (Selection(), True),
        (Selection(ids=frozenset({"a"})), True),
        (Selection(ids=frozenset({"b"})), False),
        (Selection(offsets=frozenset({"1:7"}), types=frozenset({"invalid"})), True),
        (Selection(offsets=frozenset({"1:7"}), types=frozenset({"failed"})), False),
    ],
)
def test_a_selection_takes_what_meets_all_it_names(selection: Selection, has: bool) -> None:
    assert selection.has(letter()) is has
