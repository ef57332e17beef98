"""Rows of a Parquet file, a batch in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from streamproc.errors import TrainingError

_BATCH_ROWS = 256


def read_parquet(path: Path) -> Iterator[Mapping[str, object]]:
    """The rows as Python values; a row group's columns are decoded batch by batch.

    Raises TrainingError when the file can't be read, or pyarrow is not installed.
    """
    try:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415  # of the train extra
    except ModuleNotFoundError:
        raise TrainingError(
            f"{path}: Parquet needs pyarrow, which is not installed: install streamproc[train]."
        ) from None
    try:
        with parquet.ParquetFile(path, memory_map=True) as file:
            for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
                yield from batch.to_pylist()
    except FileNotFoundError:
        raise TrainingError(f"{path}: there is no such corpus file.") from None
    except (OSError, ArrowException) as error:
        raise TrainingError(f"{path}: not readable as Parquet: {error}") from error
