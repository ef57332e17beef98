"""What a worker says of itself: newer and older versions read each other's, and silence tells."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streamproc.messages.worker_state import WorkerState, read_state


def body(**changes: Any) -> dict[str, Any]:
    least = {
        "worker": "w",
        "group": "g",
        "version": "0.1.0",
        "at_ms": 1_000_000,
        "started_ms": 900_000,
        "interval_s": 2.0,
        "ready": True,
    }
    return {**least, **changes}


def test_a_newer_worker_may_say_more_at_every_level() -> None:
    lane = {"task": "t", "lane": "bulk", "per_s": 2.5, "mood": "good"}
    member = {"name": "m", "version": "1", "height": 3}
    ensemble = {"name": "e", "task": "t", "members": [member], "colour": 1}
    state = read_state(
        orjson.dumps(body(format=2, lanes=[lane], ensembles=[ensemble], weather=["dry"]))
    )
    assert state is not None
    assert (state.format, state.lanes[0].per_s, state.ensembles[0].members[0].name) == (2, 2.5, "m")


def test_a_worker_that_says_little_is_read_with_defaults() -> None:
    state = read_state(orjson.dumps(body()))
    assert state is not None
    assert (state.lanes, state.machine.device, state.in_flight_bytes) == ([], "cpu", {})


@pytest.mark.parametrize(
    "value", [b"", b"{", b"[]", b"null", orjson.dumps(body(at_ms="soon")), orjson.dumps({"v": 1})]
)
def test_what_is_no_state_is_none(value: bytes) -> None:
    assert read_state(value) is None


def test_a_state_says_after_a_round_trip_what_it_said_before() -> None:
    state = WorkerState(**body())
    assert read_state(state.encode()) == state


@pytest.mark.parametrize(("later_ms", "stale"), [(0, False), (10_000, False), (10_001, True)])
def test_a_worker_is_stale_once_it_missed_five_states(later_ms: int, stale: bool) -> None:
    state = WorkerState(**body())
    assert state.is_stale(state.at_ms + later_ms) is stale
