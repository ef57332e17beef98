from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from streamproc.errors import MemberFailed, ModelRefused, OutOfMemory, SettingsError
from streamproc.serving.inference import providers
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.providers import (
    CPU,
    CUDA,
    Provider,
    choose_provider,
    refuse_fallback,
)
from streamproc.serving.inference.session import OnnxSession, new_call
from streamproc.serving.inference.signature import Signature
from tests.support.onnx_models import classifier

SIGNATURE = Signature(
    outputs=("logits",),
    labels=2,
)


def session_of(model: bytes) -> OnnxSession:
    return OnnxSession("m", model, SIGNATURE, Provider(CPU))


def batch_of(*rows: list[int]) -> Batch:
    class Sequence:
        def __init__(self, ids: list[int]) -> None:
            self.ids = np.array(ids, np.int64)
            self.type_ids = np.zeros(len(ids), np.int64)

    return Batch.pad([Sequence(row) for row in rows])


def test_a_batch_is_padded_at_the_end_and_padding_is_masked() -> None:
    batch = batch_of([5, 6, 7], [8])

    assert batch.ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch.mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.padded_tokens == 6


def test_a_sequence_has_the_same_scores_alone_and_beside_a_longer_one() -> None:
    session = session_of(classifier())

    alone = session.run(batch_of([5, 6]), new_call())
    beside = session.run(batch_of([7, 8, 9, 10], [5, 6]), new_call())

    assert [(row.dtype, row.shape) for row in alone] == [(np.dtype(np.float64), (2,))]
    assert np.array_equal(alone[0], beside[1])


@pytest.mark.parametrize("extra", [(), ("token_type_ids",)])
def test_an_input_that_is_optional_may_be_there(extra: tuple[str, ...]) -> None:
    session = session_of(classifier(extra_inputs=extra))

    assert [row.shape for row in session.run(batch_of([1]), new_call())] == [(2,)]


@pytest.mark.parametrize(
    ("model", "expected", "found"),
    [
        (classifier(ids_name="words"), "inputs input_ids, attention_mask", "found words, "),
        (classifier(extra_inputs=["positions"]), "perhaps token_type_ids", "positions"),
        (classifier(ids_type=TensorProto.FLOAT), "must be int64", "found tensor(float)"),
        (classifier(ids_shape=("rows", 128)), "dynamic rows and tokens", "['rows', 128]"),
        (classifier(ids_shape=(1, "tokens")), "dynamic rows and tokens", "[1, 'tokens']"),
        (classifier(output="scores"), "expected an output 'logits'", "found scores"),
        (classifier(labels=3), "the last of 2 (one for each label", "['rows', 3]"),
        (classifier(per_token=True), "with 2 dimensions", "['rows', 'tokens', 2]"),
        (classifier(output_type=TensorProto.INT64), "must be floats", "tensor(int64)"),
    ],
    ids=[
        *("an input of another name", "an input that nobody fills", "float ids"),
        *("a fixed number of tokens", "a fixed number of rows", "an output of another name"),
        *("another number of labels", "scores for each token", "whole numbers"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_what_was_expected_and_found(
    model: bytes, expected: str, found: str
) -> None:
    with pytest.raises(ModelRefused, match="member m: ") as refused:
        session_of(model)

    assert expected in str(refused.value)
    assert found in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"not ONNX", classifier()[:-50]])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(ModelRefused, match="member m: not a model ONNX Runtime can load"):
        session_of(content)


def test_a_token_beyond_the_vocabulary_fails_the_member() -> None:
    with pytest.raises(MemberFailed, match="member m: "):
        session_of(classifier(vocabulary=10)).run(batch_of([10]), new_call())


def test_scores_that_are_no_finite_numbers_fail_the_member() -> None:
    with pytest.raises(MemberFailed, match="not finite"):
        session_of(classifier(divisor=0)).run(batch_of([1]), new_call())


def test_a_call_that_was_told_to_end_fails_rather_than_answers() -> None:
    call = new_call()
    call.terminate = True

    with pytest.raises(MemberFailed, match="terminate"):
        session_of(classifier()).run(batch_of([1]), call)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Failed to allocate memory for requested buffer of size 4096"),
        RuntimeError("CUDA error: out of memory"),
        MemoryError(),
    ],
    ids=repr,
)
def test_no_memory_is_told_apart_from_other_failures(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    session = session_of(classifier())

    def refuse(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(session._runner, "_plain", refuse)
    with pytest.raises(OutOfMemory, match="member m"):
        session.run(batch_of([1]), new_call())


def test_cpu_is_what_is_asked_for() -> None:
    assert choose_provider("cpu").device == "cpu"


def test_auto_takes_the_cpu_where_there_is_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "missing_for_cuda", lambda _: "there is no driver")

    assert choose_provider("auto").name == CPU


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_cuda_without_a_gpu_is_refused_with_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setattr(providers, "missing_for_cuda", lambda _: "there is no driver")

    with pytest.raises(SettingsError, match=f"STREAMPROC_DEVICE={device}, but there is no driver"):
        choose_provider(device)


def test_what_this_machine_lacks_for_cuda_is_told_or_nothing_is_lacking() -> None:
    if choose_provider("auto").name == CUDA:
        assert choose_provider("cuda:0").device == "cuda:0"
    else:
        with pytest.raises(SettingsError, match=r"no CUDA|no GPU|no NVIDIA driver"):
            choose_provider("cuda")


def test_a_session_that_fell_back_to_another_provider_is_refused() -> None:
    class FellBack:
        def get_providers(self) -> list[str]:
            return [CPU]

    with pytest.raises(ModelRefused, match=f"{CUDA} was requested, ONNX Runtime uses .*{CPU}"):
        refuse_fallback(FellBack().get_providers(), Provider(CUDA, {"device_id": 0}), "m")
