"""The files of one split, one for each partition, written side by side."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from streamproc.errors import TrainingError
from streamproc.offline.corpus.items import RowItem

# Each holds a file and a compressor of some 300 KiB open.
MAX_PARTS = 256


@contextmanager
def part_files(out: Path, split: str) -> Iterator[Callable[[str, RowItem], None]]:
    """Appends rows to OUT/<partition>/<split>.jsonl.gz; the same rows make the same bytes.

    What is given out appends a row as it is; raises TrainingError when there are too many parts.
    """
    files: dict[str, gzip.GzipFile] = {}
    with ExitStack() as stack:

        def write(part: str, item: RowItem) -> None:
            if part not in files:
                _refuse_more(len(files), part)
                path = out / part / f"{split}.jsonl.gz"
                path.parent.mkdir(parents=True, exist_ok=True)
                raw = stack.enter_context(path.open("wb"))
                # Neither name nor time, or the same rows would make other bytes tomorrow.
                files[part] = stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
            files[part].write(item.row.json().encode("utf-8") + b"\n")

        yield write


def _refuse_more(parts: int, part: str) -> None:
    if parts == MAX_PARTS:
        raise TrainingError(
            f"More than {MAX_PARTS} partitions, {part!r} is one more: each becomes a model. "
            "Partition by a field with fewer values, by hash:N, or by cluster:N."
        )
