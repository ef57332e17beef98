"""The requests that are measured with: their lengths, and that they differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.caching import stream
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


def test_a_stream_by_zipfs_law_has_each_text_in_proportion_to_its_rank() -> None:
    asked = stream(TEXTS, 50_000, 1.0, seed=3)

    counts = sorted((asked.count(text) for text in set(asked)), reverse=True)
    total = sum(1 / rank for rank in range(1, len(TEXTS) + 1))
    expected = [50_000 / rank / total for rank in (1, 2, 4, 8)]
    assert np.allclose([counts[rank - 1] for rank in (1, 2, 4, 8)], expected, rtol=0.1)


def test_no_text_of_a_stream_is_one_of_another_rounds() -> None:
    assert not {*stream(TEXTS, 500, 1.0, seed=1)} & {*stream(TEXTS, 500, 1.0, seed=2)}
