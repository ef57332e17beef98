"""`streamproc corpus partition` as a user types it."""

from __future__ import annotations

import gzip
import json
import re
import resource
import subprocess
from pathlib import Path

import pytest

from tests.support.command import ROOT, STREAMPROC, environment, streamproc


def corpus(path: Path, *rows: tuple[str, str]) -> Path:
    lines = [json.dumps({"text": text, "label": label, "shop": text[0]}) for text, label in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_corpus_becomes_partitions_and_a_table_of_them(tmp_path: Path) -> None:
    rows = (("a [b] lamp", "good"), ("bike", "bad"), ("bell", "ok"))
    train = corpus(tmp_path / "train.jsonl", *rows)
    valid = corpus(tmp_path / "valid.jsonl", ("boat", "bad"))
    out = tmp_path / "cut"

    done = streamproc(
        "corpus", "partition", f"--train={train}", f"--valid={valid}", "--by=shop", f"--out={out}"
    )

    assert done.returncode == 0, done.stderr
    table = [re.split("  +", line) for line in done.stdout.splitlines()[1:4]]
    assert table == [
        ["partition", "train", "valid", "labels of train", "a text"],
        ["a", "1", "0", "good 100%", "a [b] lamp"],
        ["b", "2", "1", "bad 50%, ok 50%", table[2][4]],
    ]
    assert f"written: {out / 'partition.toml'}" in done.stdout
    with gzip.open(out / "b" / "train.jsonl.gz", "rt") as lines:
        assert [json.loads(line)["text"] for line in lines] == ["bike", "bell"]


def test_a_leak_ends_the_command_with_what_leaked_and_what_to_do(tmp_path: Path) -> None:
    train = corpus(tmp_path / "train.jsonl", ("lamp", "good"), ("bike", "bad"))
    test = corpus(tmp_path / "test.jsonl", ("boat", "bad"), ("Lamp", "good"))

    done = streamproc(
        "corpus", "partition", f"--train={train}", f"--test={test}", "--by=hash:2",
        f"--out={tmp_path / 'cut'}",
    )  # fmt: skip

    assert done.returncode == 2
    assert "1 of test in train" in done.stderr
    assert "test.jsonl, line 2 (in train too): 'Lamp'" in done.stderr
    assert "--duplicates drop" in done.stderr
    assert not (tmp_path / "cut").exists()


@pytest.mark.nightly
@pytest.mark.slow
def test_a_corpus_larger_than_the_memory_there_is_is_cut(tmp_path: Path) -> None:
    limit_bytes, words = 768 << 20, "work" * 10_000
    rows = 5 * limit_bytes // 4 // len(words)
    with gzip.open(tmp_path / "train.jsonl.gz", "wt", compresslevel=1) as file:
        for number in range(rows):
            file.write(f'{{"text": "{number} {words}", "label": {number % 2}}}\n')

    done = subprocess.run(
        [
            *STREAMPROC, "corpus", "partition", f"--train={tmp_path / 'train.jsonl.gz'}",
            "--by=hash:4", f"--out={tmp_path / 'cut'}",
        ],
        cwd=ROOT,
        # Each thread of OpenBLAS would set address space aside.
        env=environment({}) | {"OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes)),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    parts = [gzip.decompress(path.read_bytes()) for path in tmp_path.glob("cut/*/train.jsonl.gz")]
    assert len(parts) == 4
    assert sum(part.count(b"\n") for part in parts) == rows
