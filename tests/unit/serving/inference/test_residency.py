from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from streamproc.errors import ModelRefused
from streamproc.serving.inference.residency import MIB, Residency


class Part:
    """Counts how often it is loaded; what it loads is its own name.

    fails: how many times loading raises first
    """

    def __init__(self, name: str, size: int = 10, fails: int = 0) -> None:
        self.name, self.resident_bytes, self._fails = name, size, fails
        self.loads = 0

    def load(self) -> str:
        if self._fails:
            self._fails -= 1
            raise ModelRefused(f"{self.name} is broken")
        self.loads += 1
        return self.name


def parts(count: int, size: int = 10) -> list[Part]:
    return [Part(str(number), size) for number in range(count)]


def in_turn(residency: Residency, own: list[Part], rounds: int) -> None:
    for _ in range(rounds):
        for part in own:
            assert residency.use(part, lambda loaded: loaded) == part.name


def test_without_a_bound_each_is_loaded_once() -> None:
    residency, own = Residency(), parts(4)

    in_turn(residency, own, rounds=3)

    assert [part.loads for part in own] == [1, 1, 1, 1]


@pytest.mark.parametrize(("room", "loads"), [(1, 4), (2, 3), (3, 2), (4, 0)])
def test_parts_that_come_in_turns_are_loaded_as_seldom_as_the_room_allows(
    room: int, loads: int
) -> None:
    residency, own = Residency(10 * room), parts(4)
    in_turn(residency, own, rounds=2)

    before = residency.loads
    in_turn(residency, own, rounds=12)

    # What does not fit, and one in whose place it comes. Dropping the least recently used would
    # load all four in every round.
    assert (residency.loads - before) / 12 <= loads


def test_what_is_out_of_use_goes_before_what_takes_its_turns() -> None:
    residency, idle, own = Residency(30), Part("idle"), parts(3)
    residency.use(idle, len)

    in_turn(residency, own, rounds=5)
    before = [part.loads for part in own]
    in_turn(residency, own, rounds=5)

    assert [part.loads for part in own] == before


def test_threads_never_hold_more_than_the_bound_and_all_go_on() -> None:
    bound = 35
    residency = Residency(bound)
    models = [[Part(f"{m}{n}", size=5 + 10 * (n % 3)) for n in range(4)] for m in range(3)]
    used: dict[Part, int] = {}
    most, lock = 0, threading.Lock()

    def work(part: Part, loaded: str) -> None:
        nonlocal most
        assert loaded == part.name
        with lock:
            used[part] = used.get(part, 0) + 1
            most = max(most, sum(one.resident_bytes for one, users in used.items() if users))
        assert residency.resident_bytes <= bound
        with lock:
            used[part] -= 1

    def run(seed: int) -> int:
        draw = random.Random(seed)
        for _ in range(60):
            for part in draw.choice(models):
                residency.use(part, partial(work, part))
        return seed

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(run, range(6), timeout=60)) == list(range(6))
    assert 25 <= most <= bound
    assert residency.resident_bytes <= bound


def test_threads_that_want_the_same_share_it() -> None:
    residency, part = Residency(10), Part("shared")
    together = threading.Barrier(3, timeout=10)

    def use(_: int) -> None:
        residency.use(part, lambda loaded: together.wait())

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(use, range(3)))

    assert part.loads == 1


def test_a_thread_waits_for_room_until_another_is_done() -> None:
    residency, first, second = Residency(10), Part("first"), Part("second")
    began, go_on = threading.Event(), threading.Event()

    def hold(loaded: str) -> None:
        began.set()
        assert go_on.wait(10)

    with ThreadPoolExecutor(2) as threads:
        holding = threads.submit(residency.use, first, hold)
        assert began.wait(10)
        waiting = threads.submit(residency.use, second, lambda loaded: loaded)
        assert residency.resident_bytes == 10
        assert second.loads == 0
        go_on.set()
        assert waiting.result(10) == "second"
        holding.result(10)


def test_what_can_not_be_loaded_is_said_and_may_be_tried_again() -> None:
    residency, part = Residency(10), Part("m", fails=1)

    with pytest.raises(ModelRefused, match="m is broken"):
        residency.use(part, len)

    assert residency.resident_bytes == 0
    assert residency.use(part, lambda loaded: loaded) == "m"


def test_what_is_raised_while_a_part_is_used_leaves_it_to_others() -> None:
    residency, first, second = Residency(10), Part("first"), Part("second")

    def fail(loaded: str) -> None:
        raise RuntimeError(loaded)

    with pytest.raises(RuntimeError, match="first"):
        residency.use(first, fail)

    assert residency.use(second, lambda loaded: loaded) == "second"


def test_a_bound_below_the_largest_part_is_refused_with_the_least_that_works() -> None:
    residency = Residency(2 * MIB)

    residency.require_room("member m", 2 * MIB)
    with pytest.raises(ModelRefused, match=r"takes 3 MiB, .*MAX_RESIDENT_MB=2; give at least 3"):
        residency.require_room("member m", 2 * MIB + 1)
