"""One picture out of what workers and Kafka say."""

from __future__ import annotations

import orjson
import pytest

from streamproc.kafka.lag import TopicLag
from streamproc.messages.record import Record
from streamproc.messages.worker_state import EnsembleState, LaneState, MemberState
from streamproc.status.fleet import Fleet
from streamproc.status.history import LENGTH_S, STEP_S, History, history_key
from tests.support.states import NOW_MS, ROUTE, TASK, picture, worker_state


def lane(**changes: object) -> LaneState:
    return LaneState.model_validate(
        {"task": TASK, "lane": "interactive", "topics": ["requests"], **changes}
    )


def test_rates_add_up_and_the_slowest_worker_tells_the_time() -> None:
    fast = worker_state("a", lanes=[lane(per_s=30.0, p50_ms=10.0, p99_ms=50.0)], routes=[])
    slow = worker_state("b", lanes=[lane(per_s=10.0, p50_ms=90.0, p99_ms=70.0)], routes=[])
    row = picture(fast, slow).sources[0]
    assert (row.workers, row.per_s, row.p50_ms, row.p99_ms) == (2, 40.0, 90, 70)


def test_kafka_says_what_waits_and_the_worker_since_when() -> None:
    state = worker_state(lanes=[lane(per_s=20.0, waiting=3, oldest_ms=4_000)])
    shown = picture(state, lags={"requests": TopicLag(exists=True, waiting=100)})
    row = shown.sources[0]
    assert (row.waiting, row.oldest_ms, row.clear_s) == (100, 4_000, 5.0)
    assert (shown.strip.waiting, shown.strip.oldest_ms, shown.strip.clear_s) == (100, 4_000, 5.0)


def test_what_is_on_its_way_is_no_backlog() -> None:
    state = worker_state(lanes=[lane(per_s=0.02, waiting=1, oldest_ms=300)])
    row = picture(state, lags={"requests": TopicLag(exists=True, waiting=1)}).sources[0]
    assert (row.waiting, row.clear_s) == (1, 0.0)


def test_what_nobody_serves_is_never_cleared_and_its_age_is_kafkas() -> None:
    lag = TopicLag(exists=True, waiting=7, oldest_at_ms=NOW_MS - 60_000)
    shown = picture(worker_state(), lags={"bulk": lag})
    row = shown.sources[1]
    assert (row.workers, row.waiting, row.oldest_ms, row.clear_s) == (0, 7, 60_000, None)
    assert shown.strip.clear_s is None


def test_a_worker_that_fell_silent_is_listed_and_counts_for_nothing() -> None:
    alive, dead = worker_state("a"), worker_state("b", at_ms=NOW_MS - 60_000)
    shown = picture(alive, dead)
    assert (shown.strip.workers, shown.strip.ready) == (2, 1)
    assert [(row.worker, row.stale, row.ready) for row in shown.workers] == [
        ("a", False, True),
        ("b", True, False),
    ]
    assert shown.sources[0].workers == 1
    assert shown.sources[0].per_s == 40.0


def test_the_share_of_errors_is_of_what_was_finished_lately() -> None:
    state = worker_state(lanes=[lane(per_s=8.0, errors_per_s=1.0)], routes=[])
    assert picture(state).strip.error_share == 0.125
    assert picture(worker_state(lanes=[], routes=[])).strip.error_share is None


def test_requests_that_were_taken_back_are_counted_and_are_no_errors() -> None:
    finished = {"ok": 7, "error": 1, "cancelled": 3}
    busy = lane(per_s=8.0, errors_per_s=0.0, finished=finished, errors={"failed": 1})
    shown = picture(worker_state("a", lanes=[busy]), worker_state("b", lanes=[busy]))
    assert (shown.sources[0].cancelled, shown.sources[0].errors) == (6, {"failed": 2})
    assert shown.strip.error_share == 0.0


def test_routes_are_sources_of_their_own() -> None:
    row = picture(worker_state()).sources[2]
    assert (row.route, row.per_s, row.workers) == (ROUTE, 10.0, 1)


def test_workers_that_serve_different_versions_are_told() -> None:
    def state(worker: str, version: str, late: int) -> object:
        base = worker_state(worker).ensembles[0]
        member = MemberState(name="m", version=version, late=late, agreement=0.5)
        return worker_state(
            worker,
            ensembles=[base.model_copy(update={"members": [member], "manifest": version})],
        )

    (row,) = picture(state("a", "1", 2), state("b", "2", 3)).ensembles  # type: ignore[arg-type]
    assert row.manifests == ("1", "2")
    assert (row.members[0].versions, row.members[0].late) == (("1", "2"), 5)


def test_a_picture_is_json() -> None:
    shown = orjson.loads(orjson.dumps(picture(worker_state()).as_json()))
    assert shown["strip"]["ready"] == 1
    assert shown["workers"][0]["machine"]["device"] == "cpu"


@pytest.mark.parametrize("group", ["streamproc", "other"])
def test_a_fleet_knows_its_own_group_and_names_the_others(group: str) -> None:
    fleet = Fleet("streamproc")
    state = worker_state("a", group=group)
    fleet.take(Record("states", 0, 0, NOW_MS, b"a", state.encode()))
    fleet.take(Record("states", 0, 1, NOW_MS, b"b", b"{not JSON"))
    own = group == "streamproc"
    assert [one.worker for one in fleet.workers()] == (["a"] if own else [])
    assert fleet.other_groups() == ([] if own else ["other"])
    fleet.take(Record("states", 0, 2, NOW_MS, b"a", None))
    assert (fleet.workers(), fleet.other_groups()) == ([], [])


def test_rates_are_kept_for_a_quarter_of_an_hour() -> None:
    history = History()
    steps = LENGTH_S // STEP_S
    for per_s in range(steps + 10):
        history.take(picture(worker_state(lanes=[lane(per_s=float(per_s))])))
    rates = history.rates()[history_key(TASK, "interactive")]
    assert rates == [float(per_s) for per_s in range(10, steps + 10)]


def test_the_last_disagreements_of_all_workers_stand_in_the_order_of_their_times() -> None:
    def apart(at_ms: int, name: str) -> dict[str, object]:
        return {
            "at_ms": at_ms, "request_id": name, "position": f"requests:0:{at_ms}",
            "agreement": 0.67, "together": "positive", "members": {"books": "negative"},
        }  # fmt: skip

    def ensemble(*disagreements: dict[str, object]) -> EnsembleState:
        made = {"name": "sentiment", "task": TASK, "disagreements": disagreements}
        return EnsembleState.model_validate(made)

    one = worker_state("a", ensembles=[ensemble(apart(30, "c"), apart(10, "a"))])
    other = worker_state("b", ensembles=[ensemble(apart(20, "b"))])
    silent = worker_state("c", at_ms=0, ensembles=[ensemble(apart(40, "d"))])
    rows = picture(one, other, silent).disagreements
    assert [row.request_id for row in rows] == ["c", "b", "a"]
    assert (rows[0].ensemble, rows[0].task, rows[0].position) == (
        "sentiment",
        TASK,
        "requests:0:30",
    )
    assert len(orjson.dumps(picture(one, other).as_json())) > 0
