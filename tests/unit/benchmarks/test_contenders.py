"""The contenders answer alike, and what they are compared by is counted right."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.answers import difference
from benchmarks.batches import as_they_come, by_length, padding_factor
from benchmarks.end_to_end import InPipeline
from benchmarks.in_process import ArrivalBatches, Ceiling, OneAtATime
from benchmarks.measure import Contender, Round, in_turns, median_cpu_s_per_1000, shares
from benchmarks.workload import DeviceUnusable, Workload, build_workload, load_members
from streamproc.repository.repository import Repository
from streamproc.serving.inference.members import Members
from streamproc.settings import read_settings
from streamproc.testing import MemoryBroker, ScriptedSession, build_pipeline, build_spec

# Of one chunk and of many, and one that has no tokens at all.
TEXTS = ("good film", "", "the bad film " * 20, "b", "a good, good film! " * 7, "bad") * 5


def tiny_workload() -> Workload:
    spec = build_spec()
    sessions = [ScriptedSession(member.name) for member in spec.members]
    return build_workload(TEXTS, spec, Members(sessions))


async def test_all_contenders_give_the_answers_of_the_pipeline() -> None:
    workload = tiny_workload()
    pipeline = build_pipeline(MemoryBroker())
    expected = (await InPipeline(workload, pipeline).round()).answers
    others: list[Contender] = [
        Ceiling(workload, 2, 64),
        OneAtATime(workload, 2),
        ArrivalBatches(workload, 2, size=4),
    ]
    for contender in others:
        apart = difference((await contender.round()).answers, expected)
        assert apart.labels == 0, contender.name
        assert apart.probability < 1e-12, contender.name


def test_another_label_is_noticed() -> None:
    mine, reference = np.array([[0.6, 0.4], [0.2, 0.8]]), np.array([[0.6, 0.4], [0.7, 0.3]])
    apart = difference(mine, reference)
    assert apart.labels == 1
    assert apart.probability == pytest.approx(0.5)


def test_batches_by_length_hold_every_chunk_once_within_the_budget() -> None:
    chunks = [chunk for own in tiny_workload().chunks for chunk in own]
    batches = by_length(chunks, 64)
    assert sorted(index for batch in batches for index in batch) == list(range(len(chunks)))
    assert all(len(batch) * max(len(chunks[i]) for i in batch) <= 64 for batch in batches)


def test_batches_by_length_pad_less_than_batches_as_they_come() -> None:
    chunks = [chunk for own in tiny_workload().chunks for chunk in own]
    sorted_factor = padding_factor(chunks, by_length(chunks, 64))
    arrival_factor = padding_factor(chunks, as_they_come(len(chunks), 8))
    assert 1 <= sorted_factor < arrival_factor


class Scripted:
    def __init__(self, name: str, asked: list[str]) -> None:
        self.name = name
        self._asked = asked

    async def round(self) -> Round:
        self._asked.append(self.name)
        return Round(1.0, 0.5, np.zeros((10, 2)))


async def test_every_contender_begins_a_round() -> None:
    asked: list[str] = []
    await in_turns([Scripted(name, asked) for name in "abc"], 3, lambda _: None)
    assert asked == list("abcbcacab")


def test_shares_are_of_the_ceiling_in_the_same_round() -> None:
    answers = np.zeros((10, 2))
    mine = [Round(2.0, None, answers), Round(8.0, None, answers)]
    ceiling = [Round(1.0, None, answers), Round(2.0, None, answers)]
    assert shares(mine, ceiling) == [0.5, 0.25]


def test_cpu_time_is_told_per_thousand_requests_where_the_system_tells_it() -> None:
    answers = np.zeros((10, 2))
    assert median_cpu_s_per_1000([Round(1.0, 0.2, answers)]) == pytest.approx(20)
    assert median_cpu_s_per_1000([Round(1.0, None, answers)]) is None


def test_a_device_that_is_not_there_is_told_apart_from_a_model_at_fault() -> None:
    stored = Repository(read_settings().models_dir).open("sentiment")
    with pytest.raises(DeviceUnusable, match="cuda:99"):
        load_members(stored, "cuda:99")
