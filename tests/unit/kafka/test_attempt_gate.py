"""What waits for a record that is to run alone, and what does not."""

from __future__ import annotations

from streamproc.kafka.attempt_gate import AttemptGate
from streamproc.kafka.attempts import Mark
from streamproc.messages.record import TopicPartition

SUSPECT, OTHER = TopicPartition("rq", 0), TopicPartition("rq", 1)


def gate_after_a_death() -> AttemptGate[int]:
    """Records of one topic-partition are to run alone, and none of any has come yet."""
    gate = AttemptGate[int]()
    gate.assign([SUSPECT, OTHER])
    gate.load(
        {SUSPECT: (32, Mark(deaths=2, end=71, single=65)), OTHER: (9, Mark(deaths=1, end=1024))}
    )
    return gate


def started(gate: AttemptGate[int]) -> list[int]:
    """What may be started once all marks that wait for it are stored."""
    found = [start.item for start in gate.startable()]
    for tp in (SUSPECT, OTHER):
        metadata = gate.metadata(tp)
        if metadata is not None:
            gate.stored(tp, metadata)
    return found + [start.item for start in gate.startable()]


def test_others_go_on_while_none_of_those_that_run_alone_has_been_fetched() -> None:
    gate = gate_after_a_death()
    for offset in (9, 10):
        gate.arrive(OTHER, offset, offset)
    assert not gate.is_exclusive
    assert started(gate) == [9, 10]


def test_once_one_is_there_it_waits_for_those_under_way_and_then_runs_alone() -> None:
    gate = gate_after_a_death()
    gate.arrive(OTHER, 9, 9)
    assert started(gate) == [9]

    gate.arrive(SUSPECT, 32, 32)
    gate.arrive(OTHER, 10, 10)
    assert gate.is_exclusive
    assert started(gate) == []
    gate.finished(OTHER, 9)
    assert started(gate) == [32]
    assert started(gate) == []
    mark = Mark.decode(gate.metadata(SUSPECT) or "")
    assert (mark.group, mark.alone) == ((32, 32), True)

    gate.finished(SUSPECT, 32)
    # The ledger says of it that it is alone: that is taken back first.
    assert started(gate) == []
    assert started(gate) == [10]
