"""Finished offsets beside a committed one: what is written is read, and fits."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from streamproc.kafka.attempts import Mark
from streamproc.kafka.commits import Position
from streamproc.kafka.finished_offsets import FIELD, MAX_CHARACTERS, beside, found_beside

ABOVE = st.sets(st.integers(0, 5_000), max_size=300)
MARK = Mark(running=True, taken=4096, deaths=3, group=(5, 68), suspect=5).encode()


@given(committed=st.integers(0, 2**40), above=ABOVE)
def test_what_is_written_is_read_and_the_mark_beside_it_too(
    committed: int, above: set[int]
) -> None:
    finished = sorted(committed + at for at in above)
    metadata = beside(MARK, committed, (), finished)
    assert Position(committed, metadata).finished == frozenset(finished)
    assert Mark.decode(metadata) == Mark.decode(MARK)


@given(
    step=st.integers(2, 400), count=st.integers(0, 20_000), published=st.sets(st.integers(0, 9_999))
)
def test_it_fits_and_what_was_published_stays_however_much_more_there_is(
    step: int, count: int, published: set[int]
) -> None:
    """So that nobody answers again what a transaction has published."""
    before = beside("", 7, (), sorted(7 + at for at in published))
    kept = found_beside(before, 7)
    finished = [7 + at * step for at in range(1, count)]
    metadata = beside(MARK, 7, kept, [at for at in finished if at not in kept])
    found = found_beside(metadata, 7)
    assert len(metadata) < 4_000
    assert kept <= found <= kept.union(finished)
    others = sorted(found - kept)
    assert others == [at for at in finished if at not in kept][: len(others)]


def test_twenty_thousand_offsets_with_one_in_twenty_unfinished_fit() -> None:
    finished = [at for at in range(20_000) if at % 20]
    metadata = beside("", 0, (), finished)
    assert len(metadata) < MAX_CHARACTERS
    assert found_beside(metadata, 0) == frozenset(finished)


@given(
    text=st.text(max_size=50)
    | st.binary(max_size=50).map(lambda data: orjson.dumps({FIELD: data.hex()}).decode())
)
def test_what_others_write_there_says_nothing_or_little(text: str) -> None:
    assert len(found_beside(text, 0)) <= 1_000_000
