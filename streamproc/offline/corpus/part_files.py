"""The files of one split, one for each partition, written side by side."""

from __future__ import annotations

import gzip
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from streamproc.errors import TrainingError
from streamproc.offline.corpus.items import RowItem

# Each holds a file and a compressor of some 300 KiB open.
MAX_PARTS = 256


class PartFiles:
    """Appends rows to OUT/<partition>/<split>.jsonl.gz; the same rows make the same bytes."""

    def __init__(self, out: Path, split: str) -> None:
        self._out, self._split = out, split
        self._files: dict[str, gzip.GzipFile] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def write(self, part: str, item: RowItem) -> None:
        """Append a row as it is; raises TrainingError when there are too many parts."""
        if part not in self._files:
            self._files[part] = self._opened(part)
        self._files[part].write(item.row.json().encode("utf-8") + b"\n")

    def _opened(self, part: str) -> gzip.GzipFile:
        if len(self._files) == MAX_PARTS:
            raise TrainingError(
                f"More than {MAX_PARTS} partitions, {part!r} is one more: each becomes a model. "
                "Partition by a field with fewer values, by hash:N, or by cluster:N."
            )
        path = self._out / part / f"{self._split}.jsonl.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = self._open.enter_context(path.open("wb"))
        # Neither name nor time, or the same rows would make other bytes tomorrow.
        return self._open.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
