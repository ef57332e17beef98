"""The log that a committed offset is of, as it is kept beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.kafka.attempts import Mark
from streamproc.kafka.finished_offsets import MAX_CHARACTERS, beside, found_beside
from streamproc.kafka.log_ids import is_of_another_log, log_beside, with_log

OLD, NEW, MIRRORED = "cluster-1/old", "cluster-1/new", "cluster-2/new"


@pytest.mark.parametrize(
    ("committed", "now", "is_other"),
    [
        (OLD, OLD, False),
        (OLD, NEW, True),
        # A mirror has the same records under other ids.
        (OLD, MIRRORED, False),
        (OLD, None, False),
        (None, NEW, False),
    ],
)
def test_an_offset_is_of_another_log_where_the_topic_was_made_again_in_the_same_cluster(
    committed: str | None, now: str | None, *, is_other: bool
) -> None:
    assert is_of_another_log(with_log(Mark(running=True).encode(), committed), now) == is_other


@given(
    taken=st.integers(0, 2**40),
    finished=st.frozensets(st.integers(101, 5_000), max_size=300),
    log_id=st.one_of(st.none(), st.text(max_size=60)),
)
def test_marks_finished_offsets_and_the_log_lie_beside_each_other(
    taken: int, finished: frozenset[int], log_id: str | None
) -> None:
    mark = Mark(running=True, taken=taken)
    metadata = beside(with_log(mark.encode(), log_id), 100, [], sorted(finished))
    assert Mark.decode(metadata) == mark
    assert found_beside(metadata, 100) == finished
    assert log_beside(metadata) == log_id


def test_all_of_it_fits_beside_an_offset() -> None:
    log_id = f"{'c' * 22}/{'t' * 22}"
    metadata = beside(with_log(Mark().encode(), log_id), 0, [], range(1, 80_000, 2))
    assert log_beside(metadata) == log_id
    assert MAX_CHARACTERS < len(metadata) < 4_096 - 300


@given(st.one_of(st.text(), st.text().map(lambda text: f'{{"l":{text}}}')))
def test_what_others_keep_beside_offsets_says_nothing(metadata: str) -> None:
    assert isinstance(log_beside(metadata), str | None)
    assert not is_of_another_log(metadata, None)


@pytest.mark.parametrize("metadata", ["", "l", '["l"]', '{"l":1}', '{"l":{}}', '{"l":'])
def test_what_is_no_log_says_nothing(metadata: str) -> None:
    assert log_beside(metadata) is None
    assert not is_of_another_log(metadata, NEW)
