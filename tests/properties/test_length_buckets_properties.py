from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamproc.serving.inference.length_buckets import length_buckets

columns = st.lists(st.integers(1, 5000), min_size=1, max_size=32)
spare = st.integers(0, 4096)


@given(columns, spare)
def test_every_row_is_in_one_lot(columns: list[int], spare: int) -> None:
    lots = length_buckets(np.array(columns, np.int64), spare)

    assert sorted(row for lot in lots for row in lot) == list(range(len(columns)))
    assert all(lot == sorted(lot) for lot in lots)


@given(columns, spare)
def test_padding_is_bounded_by_what_the_rows_take_or_by_what_is_spare(
    columns: list[int], spare: int
) -> None:
    for lot in length_buckets(np.array(columns, np.int64), spare):
        own = [columns[row] for row in lot]
        assert len(own) * max(own) - sum(own) <= max(spare, sum(own))


@given(st.integers(1, 5000), st.integers(1, 32), spare)
def test_rows_of_one_length_share_a_call(length: int, rows: int, spare: int) -> None:
    assert length_buckets(np.full(rows, length, np.int64), spare) == [list(range(rows))]
