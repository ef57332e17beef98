from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from streamproc.errors import ModelRefused
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.serving.gate_loading import read_gate
from tests.support.onnx_models import write_ensemble

VOCABULARY = 3


def gated(root: Path, content: bytes) -> StoredEnsemble:
    """An ensemble of two members with a gate of those bytes."""
    digest = hashlib.sha256(content).hexdigest()
    gate = (
        f'[gate]\nfile = "gate.npy"\nsha256 = "{digest}"\nmembers = ["m1", "m0"]\nsharpness = 1.0'
    )
    write_ensemble(root / "tiny", [b"one", b"two"], sections=gate)
    (root / "tiny" / "gate.npy").write_bytes(content)
    return Repository(root).open("tiny")


def saved(table: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(table), allow_pickle=True)
    return file.getvalue()


def header(described: str) -> bytes:
    """What NumPy writes before numbers, with no numbers behind it."""
    padded = described.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded


def zipped() -> bytes:
    file = io.BytesIO()
    np.savez(file, np.zeros((VOCABULARY, 2)))
    return file.getvalue()


def test_a_gate_has_a_column_for_each_member_in_the_order_of_the_manifest(tmp_path: Path) -> None:
    table = np.arange(6, dtype=np.float32).reshape(VOCABULARY, 2)

    gate = read_gate(gated(tmp_path, saved(table)), VOCABULARY)

    assert gate is not None
    assert gate.evidence.tolist() == [[1, 0], [3, 2], [5, 4]]


HOSTILE = {
    "an archive": zipped(),
    "a pickle": pickle.dumps({}),
    "a pickle within": saved([{"an": "object"}]),
    "800 GB": header(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000, 2)}",
    ),
    "fewer numbers than it says": header(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}",
    ),
    "no shape": header("{'descr': '<f4', 'fortran_order': False}"),
    "a program": header("__import__('os').system('true')"),
    "nested": header("[" * 100),
    "a version of later": b"\x93NUMPY\x03\x00" + saved(np.zeros((VOCABULARY, 2)))[8:],
    "text": saved(np.array(["a", "b"])),
    "no numbers": saved(np.full((VOCABULARY, 2), np.nan)),
    "another shape": saved(np.zeros((2, VOCABULARY))),
    "nothing": b"",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_table_of_numbers_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes
) -> None:
    stored = gated(tmp_path, content)

    with pytest.raises(ModelRefused, match=r"tiny: gate\.npy (is not a NumPy file|must hold)"):
        read_gate(stored, VOCABULARY)
