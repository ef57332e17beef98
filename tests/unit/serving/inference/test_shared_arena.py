from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.session import OnnxSession, new_call
from streamproc.serving.inference.signature import Signature
from tests.support.onnx_models import classifier

MIB = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read as Linux tells it")
def test_members_compute_in_memory_that_another_has_left() -> None:
    signature = Signature(outputs=("logits",), labels=2)
    members = [
        OnnxSession(f"m{seed}", classifier(seed=seed), signature, Provider(CPU))
        for seed in range(8)
    ]
    ones = np.ones((2000, 1000), np.int64)
    batch = Batch(ones, ones, ones)
    first = list(members[0].run(batch, new_call()))
    before = resident_bytes()

    for member in members[1:]:
        member.run(batch, new_call())

    # Each by itself takes what two million tokens take: tens of MiB.
    assert resident_bytes() - before < 40 * MIB
    np.testing.assert_array_equal(members[0].run(batch, new_call()), first)


def resident_bytes() -> int:
    (line,) = (
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    return int(line.split()[1]) * 1024
