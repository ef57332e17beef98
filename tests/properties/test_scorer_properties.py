"""How rows come, in batches of any size and kind, changes nothing of what they get."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamproc
from streamproc.local.batches import column_values, with_columns
from streamproc.messages.response_types import AnswerType, Scalar
from tests.support.small_ensembles import write_small_ensembles

KEPT = ("label", "score", "scores", "error")
TEXTS = st.one_of(st.none(), st.text(max_size=40), st.sampled_from(["good", "the bad film " * 20]))
VALUES: dict[Scalar, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=5),
    "number": st.floats(allow_nan=False),
    "integer": st.integers(-(2**63), 2**63 - 1),
}


@pytest.fixture(scope="module")
def score(tmp_path_factory: pytest.TempPathFactory) -> Iterator[streamproc.Scorer]:
    models = tmp_path_factory.mktemp("models")
    write_small_ensembles(models, ["text-classification"])
    scorer = streamproc.Scorer(
        "sentiment",
        keep=["label", "score", "scores"],
        settings=streamproc.Settings(models_dir=models, threads=1),
    )
    yield scorer
    scorer.close()


@given(texts=st.lists(TEXTS, max_size=12), cuts=st.sets(st.integers(0, 12)))
@settings(max_examples=40)
def test_rows_get_the_same_however_they_are_cut_into_batches(
    texts: list[Any], cuts: set[int], score: streamproc.Scorer
) -> None:
    whole = score({"text": texts})
    table = pa.table({"text": pa.array(texts, pa.string())})
    ends = [0, *sorted(cut for cut in cuts if 0 < cut < len(texts)), len(texts)]
    parts = [score(table.slice(start, end - start)) for start, end in pairwise(ends)]

    together = pa.concat_tables(parts).to_pydict()
    assert {name: together[name] for name in KEPT} == {name: whole[name] for name in KEPT}
    assert together["text"] == texts
    assert [bool(error) for error in whole["error"]] == [text is None for text in texts]


@given(data=st.data(), kind=st.sampled_from(sorted(VALUES)), rows=st.integers(0, 6))
def test_a_column_that_is_added_comes_back_whatever_the_batch(
    data: st.DataObject, kind: Scalar, rows: int
) -> None:
    values = data.draw(
        st.lists(st.none() | VALUES[kind], min_size=rows, max_size=rows), label="values"
    )
    texts = [f"text {row}" for row in range(rows)]
    added: dict[str, tuple[AnswerType, list[Any]]] = {"new": (kind, values)}

    as_lists = with_columns({"text": texts}, added, like="text")
    as_arrays = with_columns({"text": np.array(texts, object)}, added, like="text")
    as_table = with_columns(pa.table({"text": pa.array(texts, pa.string())}), added, like="text")

    assert as_lists["new"] == values
    assert column_values(as_table, "new") == values
    found = column_values(as_arrays, "new")
    assert [None if value != value else value for value in found] == values  # noqa: PLR0124 - NaN
    assert len(as_arrays["new"]) == rows
