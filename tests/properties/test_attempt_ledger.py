"""Processes that die at any moment, by themselves or of a record; Kafka's part played by a dict.

An innocent record is given up on only if the process died twice with it alone in its hands; one
that ends the process is given up on after four deaths of it; none is lost, none passed over.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.kafka.attempt_gate import AttemptGate
from streamproc.kafka.attempts import (
    ALONE_DEATHS,
    MAX_GIVEN_UP,
    MOST_ALONE_DEATHS,
    QUANTUM,
    SLACK,
    Mark,
    inherit,
)
from streamproc.kafka.offsets import Delivery, OffsetTracker
from streamproc.kafka.partition_attempts import GROUP
from streamproc.messages.record import TopicPartition


class Place(NamedTuple):
    """A record of a topic-partition."""

    tp: TopicPartition
    offset: int


@dataclass
class Log:
    """What outlives a process: records, commits, and what each record left."""

    sizes: dict[TopicPartition, int]
    lethal: set[Place]
    committed: dict[TopicPartition, tuple[int, str]] = field(default_factory=dict)
    done: set[Place] = field(default_factory=set)
    refused: Counter[Place] = field(default_factory=Counter)
    deaths_of: Counter[Place] = field(default_factory=Counter)
    alone_at_death: Counter[Place] = field(default_factory=Counter)

    def is_answered(self) -> bool:
        return all(
            at >= size
            for (at, _), size in zip(
                [self.committed.get(tp, (0, "")) for tp in self.sizes],
                self.sizes.values(),
                strict=True,
            )
        )


class Process:
    """A worker between its start and its end, driven step by step."""

    def __init__(self, log: Log, draw: random.Random) -> None:
        self.log, self.draw = log, draw
        self.tracker, self.gate = OffsetTracker(), AttemptGate[Place]()
        self.position = {}
        self.under_way: dict[Place, Delivery] = {}
        self.refusing: set[Place] = set()
        self.stored: set[TopicPartition] = set()
        self.tracker.assign(log.sizes, 1)
        self.gate.assign(log.sizes)
        found = {}
        for tp in log.sizes:
            at, metadata = log.committed.get(tp, (None, ""))
            found[tp] = (at, inherit(Mark.decode(metadata), at or 0))
            self.position[tp] = at or 0
        self.gate.load(found)
        self.start_what_may_be()

    def start_what_may_be(self) -> None:
        for start in self.gate.startable():
            self.start(start.item, lethal=start.deaths > 0)

    def start(self, place: Place, *, lethal: bool = False) -> None:
        if lethal:
            self.refusing.add(place)
        self.under_way[place] = Delivery(place.tp, place.offset, 1)

    def fetch(self) -> None:
        tp = self.draw.choice(list(self.log.sizes))
        for _ in range(self.draw.randint(1, 40)):
            place = Place(tp, self.position[tp])
            if place.offset >= self.log.sizes[tp]:
                return
            self.position[tp] += 1
            assert self.tracker.deliver(tp, place.offset, 1)
            if self.gate.arrive(tp, place.offset, place):
                self.start(place)
            else:
                self.gate.bound(tp, self.log.sizes.get)
                self.start_what_may_be()

    def finish(self) -> None:
        able = [p for p in self.under_way if p in self.refusing or p not in self.log.lethal]
        for place in self.draw.sample(able, min(len(able), self.draw.randint(1, 30))):
            delivery = self.under_way.pop(place)
            if place in self.refusing:
                self.log.refused[place] += 1
            self.log.done.add(place)
            self.gate.finished(place.tp, place.offset)
            self.tracker.finish(delivery)
            self.start_what_may_be()

    def commit(self) -> None:
        for tp in self.log.sizes:
            metadata = self.gate.metadata(tp)
            known = (self.gate.committed(tp), self.tracker.oldest_unfinished(tp))
            floor = min((at for at in known if at is not None), default=None)
            at = self.tracker.committable().get(tp, floor)
            if metadata is not None and at is not None:
                assert len(metadata) < 200
                before, _ = self.log.committed.get(tp, (0, ""))
                assert all(Place(tp, n) in self.log.done for n in range(before, at))
                self.log.committed[tp] = (at, metadata)
                self.gate.stored(tp, metadata)
                self.stored.add(tp)
        self.start_what_may_be()

    def dies_of(self) -> Place | None:
        return next((p for p in self.under_way if p in self.log.lethal - self.refusing), None)

    def die(self) -> None:
        # What an earlier process left says nothing of this one, and is counted once.
        for tp in self.stored:
            at, metadata = self.log.committed[tp]
            mark = Mark.decode(metadata)
            if mark.running and mark.alone and mark.group and mark.group[1] >= at:
                # The mark is true: whatever is under way is this one, finished or not.
                alone = Place(tp, mark.group[0])
                assert self.under_way.keys() <= {alone}
                assert alone in self.under_way or alone in self.log.done
                self.log.alone_at_death[alone] += 1

    def leave(self) -> None:
        self.gate.stop(self.log.sizes)
        self.gate.leave(self.log.sizes)
        self.commit()


def run(log: Log, draw: random.Random, *, kill: float, leave: float) -> int:
    """Run processes until all is answered; returns how many there were."""
    for number in range(1, 2_000):
        process = Process(log, draw)
        while not log.is_answered():
            draw.choice([process.fetch, process.fetch, process.finish, process.commit])()
            fatal = process.dies_of()
            if fatal is not None and draw.random() < 0.3:
                log.deaths_of[fatal] += 1
                process.die()
                break
            if draw.random() < kill:
                process.die()
                break
            if draw.random() < leave:
                process.leave()
                break
        else:
            return number
    raise AssertionError("it does not come to an end")


def log_of(draw: random.Random, sizes: list[int], lethal: int) -> Log:
    tps = {TopicPartition("t", number): size for number, size in enumerate(sizes)}
    places = [Place(tp, offset) for tp, size in tps.items() for offset in range(size)]
    return Log(tps, set(draw.sample(places, min(lethal, len(places)))))


seeds = st.integers(0, 2**32)
sizes = st.lists(st.integers(1, 120), min_size=1, max_size=3)


@settings(max_examples=40)
@given(seeds, sizes, st.sampled_from([0.0, 0.002, 0.02]), st.sampled_from([0.0, 0.02]))
def test_whatever_kills_processes_nothing_is_lost_and_no_innocent_given_up_on_lightly(
    seed: int, sizes: list[int], kill: float, leave: float
) -> None:
    draw = random.Random(seed)
    log = log_of(draw, sizes, lethal=draw.randint(0, 2))

    run(log, draw, kill=kill, leave=leave)

    every = {Place(tp, n) for tp, size in log.sizes.items() for n in range(size)}
    assert log.done == every
    assert log.lethal <= log.refused.keys()
    for place in log.refused.keys() - log.lethal:
        assert log.alone_at_death[place] >= ALONE_DEATHS


@settings(max_examples=40)
@given(seeds, sizes)
def test_a_record_that_ends_the_process_is_given_up_on_after_four_deaths_and_no_other(
    seed: int, sizes: list[int]
) -> None:
    draw = random.Random(seed)
    log = log_of(draw, sizes, lethal=1)

    run(log, draw, kill=0.0, leave=0.0)

    assert log.refused == Counter(dict.fromkeys(log.lethal, 1))
    assert all(2 <= log.deaths_of[place] <= 4 for place in log.lethal)


def test_a_process_that_dies_of_whatever_it_does_gives_up_on_few() -> None:
    draw = random.Random(1)
    log = log_of(draw, [100], lethal=100)
    for _ in range(60):
        process = Process(log, draw)
        for _ in range(60):
            draw.choice([process.fetch, process.finish, process.commit])()
            if process.dies_of():
                process.die()
                break

    assert len(log.refused) == MAX_GIVEN_UP


def test_a_single_kill_costs_groups_for_what_was_in_hand_and_no_longer() -> None:
    tp = TopicPartition("t", 0)
    left = Mark(running=True, taken=5_120)
    gate = AttemptGate[int]()
    gate.assign([tp])
    gate.load({tp: (4_100, inherit(left, 4_100))})
    most: dict[bool, int] = defaultdict(int)
    for offset in range(4_100, 9_000):
        gate.arrive(tp, offset, offset)
    offset, end = 4_100, 5_120 + SLACK
    while offset < 9_000:
        started = gate.startable()
        if not started:
            assert gate.wants_commit
            gate.stored(tp, gate.metadata(tp) or "")
            continue
        most[offset < end] = max(most[offset < end], len(started))
        for start in started:
            assert start.deaths == 0
            gate.finished(tp, start.item)
        offset += len(started)

    assert most[True] == GROUP
    assert most[False] == 9_000 - end
    assert gate.arrive(tp, 9_000, 9_000)


def test_a_mark_of_others_says_nothing() -> None:
    for text in ("", "{", "[]", '{"v":2,"r":true}', '{"v":1,"g":7}', '{"v":1,"g":[1]}', "null"):
        assert Mark.decode(text) == Mark()


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.booleans())
def test_a_mark_is_read_as_it_was_written(offset: int, end: int, alone: bool) -> None:
    mark = Mark(alone, 0, 3, end, offset, (offset, end), alone, offset, 2, 1)

    assert Mark.decode(mark.encode()) == mark


def test_a_suspect_is_blamed_only_if_the_process_died_with_it_alone_as_often_as_otherwise() -> None:
    # Its own two deaths in company, and two more alone.
    assert Mark(deaths=4, suspect=7, alone_deaths=2).is_proved
    assert Mark(deaths=3, suspect=7, alone_deaths=2).is_proved
    # Whoever killed the process at other times may have done so while it was alone.
    assert not Mark(deaths=5, suspect=7, alone_deaths=2).is_proved
    assert not Mark(deaths=4, suspect=7, alone_deaths=2, killed=1).is_proved
    assert Mark(deaths=6, suspect=7, alone_deaths=3).is_proved
    # However often that happens, a record that ends the process is found in the end.
    assert Mark(deaths=50, suspect=7, alone_deaths=MOST_ALONE_DEATHS).is_proved


def test_deaths_without_a_culprit_are_remembered_for_a_while() -> None:
    tp = TopicPartition("t", 0)
    gate = AttemptGate[int]()
    gate.assign([tp])
    gate.load({tp: (0, inherit(Mark(running=True, taken=QUANTUM), 0))})
    end, killed = QUANTUM + SLACK, []
    for offset in range(end + 3 * QUANTUM):
        gate.arrive(tp, offset, offset)
        while gate.wants_commit or gate.is_waited_at:
            for start in gate.startable():
                gate.finished(tp, start.item)
            gate.stored(tp, gate.metadata(tp) or "")
        gate.finished(tp, offset)
        killed.append(Mark.decode(gate.metadata(tp) or "").killed)
    assert (killed[end - 1], killed[end], killed[-1]) == (0, 1, 0)
    handed_over = Mark(killed=1, taken=end)
    assert inherit(handed_over, end).killed == 1
    assert inherit(Mark(running=True, killed=1, taken=end), end).killed == 1
