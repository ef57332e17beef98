"""An ensemble whose members' say depends on what a chunk is about."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamproc.errors import Invalid, ModelRefused
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.serving.ensembling.gate import Gate
from streamproc.serving.inference.batch import MemberOutput
from streamproc.serving.loading import load_spec
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.testing import build_spec, build_tokenizer
from streamproc.types import FloatArray
from tests.support.onnx_models import classifier, write_ensemble

TASK = task_named("text-classification")
TOKENIZER = build_tokenizer()
GOOD, BAD = (int(TOKENIZER.encode(word).ids[0]) for word in ("good", "bad"))


def table() -> FloatArray:
    """`good` speaks for the first of two members, `bad` for the second."""
    told = np.zeros((TOKENIZER.vocabulary_size, 2))
    told[GOOD] = 5, -5
    told[BAD] = -5, 5
    return told


def gated(strategy: Any = "gated") -> EnsembleSpec:
    return replace(build_spec(["a", "b"], strategy=strategy), gate=Gate(table(), 10.0))


def answered(text: str, spec: EnsembleSpec, **params: Any) -> Any:
    """The first member is sure of `negative` all along, the second of `positive`."""
    job = TASK.begin({"text": text}, params, spec)
    for chunk in job.chunks():
        said = (np.array([9.0, 0.0]), np.array([0.0, 9.0]))
        job.add(chunk, [MemberOutput(n, s, None) for n, s in zip("ab", said, strict=True)])
    return job.answer()


@pytest.mark.parametrize(("text", "label"), [("good film", "negative"), ("bad film", "positive")])
def test_the_member_is_heard_whose_part_of_the_corpus_a_text_is_like(text: str, label: str) -> None:
    answer = answered(text, gated())

    assert answer.result["label"] == label
    assert answer.result["score"] > 0.99
    assert answer.agreement > 0.99


def test_each_chunk_of_a_text_has_a_gate_of_its_own() -> None:
    half = "good film " * 8 + "bad film " * 8
    answer = answered(half, gated())

    assert answer.coverage.chunks > 1
    assert 0.2 < answer.result["score"] < 0.8


def test_a_request_may_ask_for_the_gate_or_for_the_mean() -> None:
    assert answered("good film", gated("mean")).result["score"] == pytest.approx(0.5)
    assert answered("good film", gated("mean"), combine="gated").result["score"] > 0.99
    assert answered("good film", gated(), combine="mean").result["score"] == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["text-classification", "token-classification"])
def test_asking_for_a_gate_that_is_not_there_is_invalid(name: str) -> None:
    with pytest.raises(Invalid, match="invalid request") as told:
        task_named(name).begin({"text": "ok"}, {"combine": "gated"}, build_spec(["a", "b"]))
    assert "tiny has no gate" in told.value.detail


def test_only_the_manifests_way_is_calibrated() -> None:
    calm = replace(build_spec(["a", "b"]), temperature=4.0)
    job = [TASK.begin({"text": "ok"}, params, calm) for params in ({}, {"combine": "vote"})]
    scores = []
    for one in job:
        (chunk,) = one.chunks()
        one.add(chunk, [MemberOutput(n, np.array([4.0, 0.0]), None) for n in "ab"])
        scores.append(one.answer().result["scores"])

    assert scores[0]["negative"] == pytest.approx(1 / (1 + np.exp(-1)))
    assert scores[1]["negative"] > 0.999


def stored(root: Path, values: Any, members: tuple[str, ...] = ("m0", "m1")) -> StoredEnsemble:
    folder = root / "tiny"
    content = io.BytesIO()
    np.save(content, values, allow_pickle=True)
    sections = (
        '[combine]\nstrategy = "gated"\n[gate]\nfile = "gate.npy"\n'
        f'sha256 = "{hashlib.sha256(content.getvalue()).hexdigest()}"\n'
        f"members = {list(members)}\nsharpness = 2.0\n"
    )
    write_ensemble(folder, [classifier(seed=1), classifier(seed=2)], sections=sections)
    (folder / "gate.npy").write_bytes(content.getvalue())
    return Repository(root).open("tiny")


def test_a_gates_columns_are_its_members_whatever_their_order(tmp_path: Path) -> None:
    spec = load_spec(stored(tmp_path, table()[:, ::-1], ("m1", "m0")), TASK)

    assert spec.gate is not None
    assert np.array_equal(spec.gate.evidence, table())
    assert spec.gate.sharpness == 2


@pytest.mark.parametrize(
    "values",
    [
        table()[:-1],
        table()[:, :1],
        table().astype(np.int64),
        np.where(table() > 0, np.nan, 0.0),
        np.array([{"a": 1}], dtype=object),
    ],
    ids=["a token too few", "a member too few", "whole numbers", "no numbers", "objects"],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, values: Any) -> None:
    with pytest.raises(ModelRefused, match=r"tiny: gate\.npy"):
        load_spec(stored(tmp_path, values), TASK)


def test_a_gate_that_lacks_a_member_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"gate\.members lacks m1"):
        stored(tmp_path, table(), ("m0", "other"))
