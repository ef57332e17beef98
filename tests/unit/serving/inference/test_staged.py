from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamproc.errors import MemberFailed, ModelRefused
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.causal import CausalModel
from streamproc.serving.inference.model import Staged
from streamproc.serving.inference.providers import CPU, CUDA, Provider
from streamproc.serving.inference.residency import MIB, Residency
from streamproc.serving.inference.session import OnnxSession, new_call
from streamproc.serving.inference.signature import Signature
from tests.support.causal_graphs import causal
from tests.support.layered_graphs import VOCABULARY, Layered
from tests.support.staged_models import Written, batch, cut, scores, staged, whole

SIGNATURE = Signature(outputs=("logits",), labels=2)


def padded(rows: int, tokens: int, seed: int = 0) -> Batch:
    feeds = batch(rows, tokens, VOCABULARY, seed)
    ids = feeds["input_ids"]
    return Batch(ids, feeds["attention_mask"], np.zeros_like(ids))


def test_stages_look_like_one_session_to_a_member(tmp_path: Path) -> None:
    model = Layered().model()
    stages = [Written(stage) for stage in cut(model, 3, tmp_path)]

    session = OnnxSession("m", Staged(stages, Residency()), SIGNATURE, Provider(CPU))

    one = OnnxSession("m", model, SIGNATURE, Provider(CPU))
    for found, expected in zip(
        session.run(padded(4, 9), new_call()), one.run(padded(4, 9), new_call()), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_a_staged_model_of_the_wrong_task_is_refused_as_the_whole_is(tmp_path: Path) -> None:
    stages = [Written(stage) for stage in cut(Layered(per_token=True).model(), 3, tmp_path)]

    with pytest.raises(ModelRefused, match=r"member m: output 'logits' must be floats with 2"):
        OnnxSession("m", Staged(stages, Residency()), SIGNATURE, Provider(CPU))


def test_a_staged_decoder_steps_as_the_whole_does(tmp_path: Path) -> None:
    stages = [Written(stage) for stage in cut(causal(200), 3, tmp_path)]
    models = [
        CausalModel("m", model, Provider(CPU))
        for model in (causal(200), Staged(stages, Residency()))
    ]

    said = []
    for model in models:
        logits, rows = model.start(np.array([3, 5, 8], np.int64), new_call())
        stepped, _ = model.step(rows, np.array([13], np.int64), new_call())
        said.append((logits, stepped[0]))

    np.testing.assert_array_equal(said[0], said[1])


def test_several_threads_get_what_the_whole_says_while_stages_are_loaded_in_turn(
    tmp_path: Path,
) -> None:
    model = Layered(widths=(64,) * 4).model()
    written = cut(model, 4, tmp_path)
    largest = max(stage.resident_bytes for stage in written)
    residency = Residency(largest)
    session, one = staged(written, residency), whole(model)
    batches = [batch(1 + n % 4, 3 + n, VOCABULARY, seed=n) for n in range(12)]

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda feeds: scores(session, feeds), batches))

    for own, feeds in zip(found, batches, strict=True):
        np.testing.assert_array_equal(own, scores(one, feeds))
    assert residency.resident_bytes <= largest


def test_a_bound_below_the_largest_stage_is_refused_before_anything_is_loaded(
    tmp_path: Path,
) -> None:
    written = cut(Layered(widths=(16_384, 32)).model(), 2, tmp_path)
    residency = Residency(1 * MIB)

    with pytest.raises(ModelRefused, match=r"member m: its largest stage takes 3 MiB, but "):
        staged(written, residency)

    assert residency.loads == 0


def test_a_call_that_was_told_to_end_ends_between_stages(tmp_path: Path) -> None:
    stages = [Written(stage) for stage in cut(Layered().model(), 3, tmp_path)]
    session = OnnxSession("m", Staged(stages, Residency()), SIGNATURE, Provider(CPU))
    call = new_call()
    call.terminate = True

    with pytest.raises(MemberFailed, match="told to end early"):
        session.run(padded(1, 4), call)


def test_stages_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    written = cut(Layered().model(), 3, tmp_path)

    with pytest.raises(ModelRefused, match=r"stage 2 of 2\) computes logits again"):
        staged([written[2], written[2]])


def test_weights_that_are_gone_are_said(tmp_path: Path) -> None:
    written = cut(Layered().model(), 3, tmp_path)
    written[1].weights.unlink()

    with pytest.raises(ModelRefused, match=r"member m \(stage 2 of 3\): not a model ONNX"):
        staged(written)


@pytest.mark.parametrize(
    ("devices", "stages", "expected"),
    [(1, 3, [0, 0, 0]), (2, 4, [0, 0, 1, 1]), (4, 4, [0, 1, 2, 3]), (8, 2, [0, 4])],
)
def test_stages_are_spread_over_the_devices_there_are(
    devices: int, stages: int, expected: list[int]
) -> None:
    options: dict[str, Any] = {"device_id": 0, "arena_extend_strategy": "kSameAsRequested"}
    provider = Provider(CUDA, options, devices)

    found = [provider.of_part(part, stages) for part in range(stages)]

    assert [own.options["device_id"] for own in found] == expected
    assert all(own.options["arena_extend_strategy"] == "kSameAsRequested" for own in found)
