"""The requests that are measured with: their lengths, and that they differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.texts import SAMPLE, evenly_by_length, read_texts, requested

TEXTS = tuple("x" * length for length in range(1, 101))


def test_the_committed_sample_is_read_where_there_is_no_data(tmp_path: Path) -> None:
    assert read_texts(None) == read_texts(tmp_path)
    assert len(read_texts(None)) > 500
    assert SAMPLE.stat().st_size <= 300 * 1024


def test_fewer_requests_than_texts_keep_the_spread_of_lengths() -> None:
    lengths = [len(text) for text in evenly_by_length(TEXTS, 20)]
    wanted = np.quantile(range(1, 101), (0.1, 0.5, 0.9))
    assert np.allclose(np.quantile(lengths, (0.1, 0.5, 0.9)), wanted, atol=3)


def test_more_requests_than_texts_are_all_different() -> None:
    asked = requested(TEXTS, 250)
    assert len(asked) == len(set(asked)) == 250


def test_the_same_requests_are_asked_in_every_run() -> None:
    assert requested(TEXTS, 150) == requested(TEXTS, 150)


def test_requests_do_not_come_sorted_by_length() -> None:
    lengths = [len(text) for text in requested(TEXTS, 100)]
    assert sorted(lengths) == list(range(1, 101))
    assert lengths != sorted(lengths)
