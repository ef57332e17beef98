from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamproc.clock import SystemClock
from streamproc.errors import MemberFailed, ModelRefused, OutOfMemory, WorkerFault
from streamproc.metrics import Metrics
from streamproc.repository.repository import Repository
from streamproc.serving.assembly import load_engine
from streamproc.serving.inference.batch import Batch, HiddenStates, ModelInput
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.fan_out import FanOut
from streamproc.serving.inference.members import Members
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.session import BackboneSession, OnnxSession, new_call
from streamproc.serving.inference.signature import Signature
from streamproc.serving.member_health import MemberHealth
from streamproc.serving.tasks.catalogue import scoring_task_named
from streamproc.testing import MemoryBroker, build_context, build_pipeline, build_record
from tests.support.onnx_models import classifier, write_ensemble
from tests.support.onnx_prefixes import behind_backbone, prefix, write_prefixed_ensemble
from tests.support.poison import CANARY, POISON, failures, refuse_poison, sequence, statuses

SIGNATURE = Signature(outputs=("logits",), labels=2)


class Watched:
    """A real prefix that notes its batches and does something before each."""

    name = "prefix"

    def __init__(self, before: Callable[[Batch], None] = lambda _: None) -> None:
        self.rows: list[int] = []
        self._before = before
        self._session = BackboneSession(prefix(seed=3), Provider(CPU))

    def run(self, batch: Batch, call: Any) -> list[HiddenStates]:
        self._before(batch)
        self.rows.append(len(batch.ids))
        return list(self._session.run(batch, call))


def members_behind(before: Watched) -> Members:
    signature = SIGNATURE.behind_backbone(2)
    provider = Provider(CPU)
    sessions = [
        OnnxSession(name, behind_backbone(factor=factor), signature, provider)
        for name, factor in (("a", 1.0), ("b", -2.0))
    ]
    return Members(sessions, before)


def fan_out(executor: ModelExecutor, before: Watched, metrics: Metrics | None = None) -> FanOut:
    members = members_behind(before)
    (canary,) = members.run_backbone([sequence(CANARY)])
    before.rows.clear()
    return FanOut(
        members,
        executor,
        call_timeout_s=30.0,
        canary=canary,
        metrics=metrics or Metrics(),
        health=MemberHealth("tiny", ["a", "b"], 2, SystemClock()),
    )


async def ask(root: Path, executor: ModelExecutor) -> list[dict[str, Any]]:
    """What "tiny" says of texts of one window and of many."""
    stored = Repository(root).open("tiny")
    task, context = scoring_task_named("text-classification"), build_context(executor)
    engine = load_engine(stored, task, Provider(CPU), context)
    broker = MemoryBroker()
    pipeline = build_pipeline(broker, engine)
    for text in ("good", "the good film, " * 20, ""):
        await pipeline(build_record({"id": "r", "text": text}))
    return [response["result"] for response in broker.values("responses")]


async def test_members_behind_a_prefix_answer_as_whole_ones_do(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    write_ensemble(tmp_path / "whole" / "tiny", [classifier(seed=3)])
    write_prefixed_ensemble(tmp_path / "cut" / "tiny", prefix(seed=3), [behind_backbone()])

    whole, cut = await ask(tmp_path / "whole", executor), await ask(tmp_path / "cut", executor)

    assert len(cut) == 3
    assert cut == whole


async def test_a_batch_runs_through_the_prefix_once_for_all_members(
    executor: ModelExecutor,
) -> None:
    before = Watched()
    rows = await fan_out(executor, before).run([sequence(5, 6, 7), sequence(8)], 0)

    assert before.rows == [2]
    for first, second in rows:
        assert first.scores is not None
        assert second.scores is not None
        np.testing.assert_allclose(second.scores, -2 * first.scores, rtol=1e-6)


async def test_what_the_prefix_fails_on_is_isolated_and_its_neighbours_are_answered(
    executor: ModelExecutor,
) -> None:
    sequences = [sequence(10 + number) for number in range(5)]
    sequences[3] = sequence(POISON, 3)

    metrics = Metrics()

    rows = await fan_out(executor, Watched(refuse_poison), metrics).run(sequences, 0)

    assert statuses(rows) == [["ok"] * 2] * 3 + [["failed"] * 2] + [["ok"] * 2]
    # Without the layers before it no member has anything to say: it is missing for all of them.
    assert [failures(metrics, member, "failed") for member in "ab"] == [1, 1]


async def test_a_prefix_that_fails_on_everything_is_the_workers_fault(
    executor: ModelExecutor,
) -> None:
    broken = False

    def refuse(_: Batch) -> None:
        if broken:
            raise MemberFailed("prefix", "broken")

    fanned = fan_out(executor, Watched(refuse))
    broken = True

    for row in await fanned.run([sequence(5), sequence(6)], 0):
        for output in row:
            assert isinstance(output.error, WorkerFault)
            assert "prefix fails on everything" in str(output.error)


async def test_a_batch_too_large_for_the_prefix_runs_in_halves(executor: ModelExecutor) -> None:
    def refuse_many(batch: Batch) -> None:
        if len(batch.ids) > 2:
            raise OutOfMemory("prefix")

    before = Watched(refuse_many)
    rows = await fan_out(executor, before).run([sequence(n) for n in range(2, 10)], 0)

    assert statuses(rows) == [["ok", "ok"]] * 8
    assert before.rows == [2, 2, 2, 2]


def test_states_are_padded_at_the_end_like_ids() -> None:
    read: list[ModelInput] = list(
        members_behind(Watched()).run_backbone([sequence(5, 6, 7), sequence(8)])
    )

    batch = Batch.pad(read)

    assert batch.hidden is not None
    assert batch.hidden.shape == (2, 3, 2)
    assert batch.hidden.dtype == np.float32
    assert not batch.hidden[1, 1:].any()


@pytest.mark.parametrize(
    ("before", "member", "found"),
    [
        (prefix(width=3), behind_backbone(width=2), r"\(rows, tokens, 3\).*found tensor\(float\)"),
        (prefix(), classifier(), "expected inputs hidden_states, attention_mask; found input_ids"),
        (classifier(), behind_backbone(), "expected an output 'hidden_states'; found logits"),
        (prefix(vocabulary=50), behind_backbone(), r"prefix fails on a window of 16 tokens"),
    ],
    ids=["another width", "a whole member", "no prefix", "a smaller vocabulary"],
)
async def test_what_does_not_fit_together_is_refused(
    tmp_path: Path, executor: ModelExecutor, before: bytes, member: bytes, found: str
) -> None:
    write_prefixed_ensemble(tmp_path / "tiny", before, [member])

    with pytest.raises(ModelRefused, match=found):
        await ask(tmp_path, executor)


async def test_a_prefix_of_another_content_is_refused(
    tmp_path: Path, executor: ModelExecutor
) -> None:
    write_prefixed_ensemble(tmp_path / "tiny", prefix(), [behind_backbone()])
    (path,) = (tmp_path / "prefixes").iterdir()
    path.write_bytes(prefix(seed=9))

    with pytest.raises(ModelRefused, match="is not the file the manifest names"):
        await ask(tmp_path, executor)
    path.unlink()
    with pytest.raises(ModelRefused, match="No such file"):
        await ask(tmp_path, executor)


def test_prefixes_are_no_ensembles(tmp_path: Path) -> None:
    write_prefixed_ensemble(tmp_path / "tiny", prefix(), [behind_backbone()])

    assert Repository(tmp_path).names() == ["tiny"]


def test_members_on_the_prefix_s_device_take_its_states_there() -> None:
    sequences = [sequence(5, 6, 7), sequence(8), sequence(9, 10)]
    signature, provider = SIGNATURE.behind_backbone(2), Provider(CPU)
    expected = members_behind(Watched())
    on_device = Members(
        [OnnxSession("a", behind_backbone(), signature, provider, binds=True)],
        BackboneSession(prefix(seed=3), provider, binds=True),
    )

    read = on_device.run_backbone(sequences)
    whole = Batch.pad(read)
    in_another_order = Batch.pad([read[2], read[0]])
    (member,) = on_device.sessions

    assert whole.hidden is None
    assert whole.hidden_on_device is not None
    assert in_another_order.hidden is not None
    scores = expected.sessions[0].run(Batch.pad(expected.run_backbone(sequences)), new_call())
    found = member.run(whole, new_call())
    np.testing.assert_array_equal(found, scores)
    np.testing.assert_array_equal(member.run(in_another_order, new_call()), [scores[2], scores[0]])


def test_states_on_a_device_are_copied_for_a_member_that_takes_another_type() -> None:
    read = Members([], BackboneSession(prefix(seed=3), Provider(CPU), binds=True)).run_backbone(
        [sequence(5, 6, 7), sequence(8)]
    )
    member = OnnxSession("a", behind_backbone(), SIGNATURE.behind_backbone(2), Provider(CPU))

    found = member.run(Batch.pad(read), new_call())

    expected = members_behind(Watched())
    scores = expected.sessions[0].run(
        Batch.pad(expected.run_backbone([sequence(5, 6, 7), sequence(8)])), new_call()
    )
    np.testing.assert_array_equal(found, scores)
