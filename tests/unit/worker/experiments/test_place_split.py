"""Requests of one place: who is in an experiment, which arm answers, and what is recorded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs
from tenacity import stop_after_attempt, stop_never
from tenacity.stop import stop_base

from streamproc.clock import SystemClock
from streamproc.enrichment.route import Route
from streamproc.errors import WorkerFault
from streamproc.messages.experiment import Arm, Experiment
from streamproc.messages.experiment_split import answering_arm, unit_of
from streamproc.messages.exposure import FAILED_OVER, NOT_SERVED, Exposure, read_exposure
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord, Record
from streamproc.messages.request import Request, read_request
from streamproc.messages.response import ExperimentArm, Response
from streamproc.metrics import Metrics
from streamproc.serving.answer_cache import AnswerCache
from streamproc.serving.answerer import Answerer
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.inference.batch import Batch
from streamproc.testing import (
    MemoryBroker,
    ScriptedSession,
    build_engine,
    build_record,
    build_spec,
)
from streamproc.worker.enrichment import build_enricher
from streamproc.worker.experiments import exposure_log, shadows
from streamproc.worker.experiments.exposure_log import ExposureLog
from streamproc.worker.experiments.place_split import ArmsOf, Place, PlaceSplit
from streamproc.worker.experiments.shadows import Shadows
from tests.support.answer_caches import build_cache
from tests.support.experiments import arm, experiment

_STOP_AFTER = stop_after_attempt(3)
SHADOWED = experiment(arm("1"), arm("2"), arm("3", 1.0, is_shadow=True))


def engine_of(
    version: str, session: ScriptedSession | None = None, *, name: str = "tiny"
) -> Engine:
    spec = replace(build_spec(("a",)), name=name, version=version, digest=version * 64)
    return build_engine(spec, [session or ScriptedSession(version)])


class Arms:
    """The arms that a worker could load."""

    def __init__(self, *engines: Engine) -> None:
        self.by_digest = {engine.spec.digest: engine for engine in engines}

    def engine(self, task: str, arm: Arm) -> Engine | None:
        return self.by_digest.get(arm.manifest)


class Scene:
    """A topic of requests, whose default ensemble serves in version 1."""

    def __init__(
        self,
        *engines: Engine,
        running: Sequence[Experiment] = (experiment(),),
        is_route: bool = False,
        serving: Sequence[Engine] = (),
        stop_after: stop_base = _STOP_AFTER,
        cache: AnswerCache | None = None,
    ) -> None:
        """serving: beside the first, in ensembles of other names"""
        self.stored: list[Exposure] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.metrics, clock = Metrics(), SystemClock()
        self.log = ExposureLog("exposures", self._hand_over, clock, self.metrics)
        self.shadows = Shadows(clock, self.metrics)
        self.running = list(running)
        self.engines = engines or (engine_of("1"), engine_of("2"), engine_of("3"))
        arms: ArmsOf = Arms(*self.engines)
        self.split = PlaceSplit(
            Place("requests", "text-classification", Lane.INTERACTIVE, not is_route),
            lambda: self.running,
            arms,
            self.log,
            self.shadows,
            clock,
            self.metrics,
        )
        self.answerer = Answerer(
            "text-classification",
            Engines({one.spec.name: one for one in (self.engines[0], *serving)}),
            default_ensemble="tiny",
            lane=Lane.INTERACTIVE,
            clock=clock,
            metrics=self.metrics,
            stop_after=stop_after,
            cache=cache,
            split=self.split,
        )

    async def ask(self, key: bytes | None, **fields: Any) -> Response:
        return await self.answerer.answer(request(key, **fields))

    async def settled(self) -> list[Exposure]:
        """What is stored once nothing is under way."""
        while self.shadows._under_way or self.log._under_way:  # noqa: ASYNC110 - tasks of theirs
            await asyncio.sleep(0)
        return self.stored

    async def _hand_over(self, record: ProducerRecord) -> Awaitable[bool]:
        exposure = read_exposure(record.value)
        assert exposure is not None
        assert record.key == exposure.id.encode()

        async def store() -> bool:
            await self.takes.wait()
            self.stored.append(exposure)
            return True

        return asyncio.ensure_future(store())


def request(key: bytes | None, **fields: Any) -> Request:
    read = read_request(build_record({"text": "good film", **fields}, key=key), 1 << 20)
    assert isinstance(read, Request)
    return read


def key_of(version: str, own: Experiment | None = None) -> bytes:
    """A key whose requests a version answers."""
    own = own or experiment()
    keys = (str(number).encode() for number in range(1_000))
    return next(key for key in keys if answering_arm(own, unit_of(own, key, "")).version == version)


async def test_a_request_that_is_taken_back_is_in_no_figure() -> None:
    begun, go = threading.Event(), threading.Event()

    def wait(_: Batch) -> None:
        begun.set()
        go.wait(30)

    scene = Scene(engine_of("1", ScriptedSession("1", before=wait)), engine_of("2"))
    asking = asyncio.create_task(scene.ask(key_of("1")))
    await asyncio.to_thread(begun.wait, 30)
    asking.cancel()
    await asyncio.wait({asking})
    go.set()

    assert asking.cancelled()
    assert await scene.settled() == []
    counted = scene.metrics.experiment_requests.labels("trial", "tiny@1")
    assert counted._value.get() == 0.0


async def test_the_arm_of_the_key_answers_and_the_response_says_so() -> None:
    scene = Scene()
    for version in ("1", "2"):
        response = await scene.ask(key_of(version), id=version)
        assert response.manifest == version * 64
        assert response.experiment == ExperimentArm("trial", f"tiny@{version}")
    first, second = await scene.settled()
    assert (first.arm, second.arm) == ("tiny@1", "tiny@2")
    assert (first.id, first.place, first.lane, first.length) == (
        *("1", "requests", "interactive", "1-127"),
    )
    assert first.label in {"negative", "positive"}
    assert (first.total_ms or 0.0) > 0
    assert b"good film" not in orjson.dumps([one.model_dump(mode="json") for one in scene.stored])


async def test_who_names_an_ensemble_is_in_no_experiment() -> None:
    scene = Scene()
    response = await scene.ask(key_of("2"), ensemble="tiny")
    assert (response.manifest, response.experiment) == ("1" * 64, None)
    assert await scene.settled() == []


async def test_what_a_route_names_is_not_its_sender_s_choice() -> None:
    scene = Scene(is_route=True)
    response = await scene.ask(key_of("2"), ensemble="tiny")
    assert response.experiment == ExperimentArm("trial", "tiny@2")


@pytest.mark.parametrize(
    "changes",
    [{"topics": ["other"]}, {"routes": ["other"]}, {"ensemble": "other"}, {"task": "translation"}],
)
async def test_an_experiment_of_other_requests_leaves_these_alone(
    changes: dict[str, object],
) -> None:
    scene = Scene(running=[experiment(**changes)])
    assert (await scene.ask(key_of("2"))).experiment is None
    assert await scene.settled() == []


async def test_the_control_answers_for_an_arm_that_is_not_loaded_and_that_is_no_error() -> None:
    scene = Scene(engine_of("1"))
    response = await scene.ask(key_of("2"))
    assert (response.status, response.manifest) == ("ok", "1" * 64)
    assert response.experiment == ExperimentArm("trial", "tiny@1")
    (stored,) = await scene.settled()
    assert (stored.arm, stored.error, stored.label) == ("tiny@2", NOT_SERVED, None)


async def test_without_the_control_a_request_is_in_no_experiment() -> None:
    scene = Scene(engine_of("9"), engine_of("2"))
    response = await scene.ask(key_of("2"))
    assert (response.status, response.experiment) == ("ok", None)


async def test_an_error_is_its_arm_s() -> None:
    scene = Scene()
    response = await scene.ask(key_of("2"), text="", params={"unknown": 1})
    assert response.error is not None
    assert response.experiment == ExperimentArm("trial", "tiny@2")
    (stored,) = await scene.settled()
    assert (stored.status, stored.error) == ("error", "invalid")


async def test_where_an_arm_is_at_fault_the_version_that_serves_answers() -> None:
    def fail(_: Batch) -> None:
        raise WorkerFault("it hangs")

    scene = Scene(engine_of("1"), engine_of("2", ScriptedSession("2", before=fail)))
    response = await scene.ask(key_of("2"))
    assert (response.status, response.manifest) == ("ok", "1" * 64)
    assert response.experiment == ExperimentArm("trial", "tiny@1")
    (stored,) = await scene.settled()
    assert (stored.arm, stored.status, stored.error) == ("tiny@2", "error", FAILED_OVER)


OTHERS = experiment(arm("1"), arm("2", name="other@2", ensemble="other"))


class Failing:
    """A model at fault, which counts how often that shows."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, _: Batch) -> None:
        self.times += 1
        raise WorkerFault("it hangs")


@pytest.mark.parametrize("other_serves", ["2", "3"], ids=["the arm", "another version"])
async def test_where_an_arm_that_is_another_ensemble_is_at_fault_the_one_asked_answers(
    other_serves: str,
) -> None:
    failing = engine_of("2", ScriptedSession("2", before=Failing()), name="other")
    other = failing if other_serves == "2" else engine_of("3", name="other")
    scene = Scene(engine_of("1"), failing, running=[OTHERS], serving=[other])

    response = await scene.ask(key_of("2", OTHERS))

    assert (response.status, response.ensemble, response.manifest) == ("ok", "tiny", "1" * 64)
    assert response.experiment == ExperimentArm("trial", "tiny@1")
    (stored,) = await scene.settled()
    assert (stored.arm, stored.status, stored.error) == ("other@2", "error", FAILED_OVER)


async def test_an_arm_at_fault_is_not_waited_for_with_those_who_asked_for_its_ensemble() -> None:
    failing = Failing()
    other = engine_of("2", ScriptedSession("2", before=failing), name="other")
    scene = Scene(
        engine_of("1"),
        other,
        running=[OTHERS],
        serving=[other],
        stop_after=stop_never,
        cache=build_cache(),
    )
    asked_for_it = asyncio.create_task(scene.ask(None, ensemble="other"))
    async with asyncio.timeout(30):
        while not failing.times:  # noqa: ASYNC110 - another thread's call is no event
            await asyncio.sleep(0)
        response = await scene.ask(key_of("2", OTHERS))
    asked_for_it.cancel()

    assert (response.status, response.ensemble) == ("ok", "tiny")


async def test_what_a_route_asks_of_an_event_is_split_by_the_event_s_key() -> None:
    scene, broker = Scene(is_route=True, running=[experiment(routes=["requests"])]), MemoryBroker()
    answer = {
        "name": "mood",
        "task": "text-classification",
        "ensemble": "tiny",
        "text": "/t",
        "to": "/mood",
        "keep": ["label"],
    }
    route = Route.model_validate(
        {
            "kind": "route",
            "name": "requests",
            "description": "what is tested here",
            "from": {"topics": ["in"]},
            "to": {"topic": "out"},
            "meta": "/run",
            "dlq": "dead",
            "answers": [answer],
        }
    )
    enricher = build_enricher(
        route,
        {"text-classification": Engines({"tiny": scene.engines[0]})},
        broker.publish,
        SystemClock(),
        scene.metrics,
        split_of=lambda *_: scene.split,
    )
    for version in ("1", "2"):
        await enricher(build_record({"t": "good film"}, key=key_of(version)))
    manifests = [event["run"]["manifests"]["mood"] for event in broker.values("out")]
    assert manifests == ["1" * 64, "2" * 64]
    assert [one.arm for one in await scene.settled()] == ["tiny@1", "tiny@2"]


async def test_a_shadow_is_asked_beside_every_arm_and_answers_nobody() -> None:
    scene = Scene(running=[SHADOWED])
    response = await scene.ask(key_of("2", SHADOWED), id="7")
    assert response.experiment == ExperimentArm("trial", "tiny@2")
    answered, shadow = await scene.settled()
    assert (answered.arm, answered.is_shadow) == ("tiny@2", False)
    assert (shadow.arm, shadow.is_shadow, shadow.id) == ("tiny@3", True, "7")
    assert shadow.unit == answered.unit
    assert shadow.label in {"negative", "positive"}


async def test_a_shadow_that_fails_or_hangs_touches_no_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shadows, "TIMEOUT_S", 0.05)

    def fail(_: Batch) -> None:
        raise ValueError("broken")

    broken = engine_of("3", ScriptedSession("3", before=fail))
    scene = Scene(engine_of("1"), engine_of("2"), broken, running=[SHADOWED])
    response = await scene.ask(key_of("1", SHADOWED))
    assert response.status == "ok"
    _, stored = await scene.settled()
    assert (stored.arm, stored.status) == ("tiny@3", "error")


async def test_shadows_beyond_what_there_is_room_for_are_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shadows, "MOST", 2)
    scene = Scene(running=[SHADOWED])
    scene.takes.clear()
    asked = [scene.ask(str(n).encode(), id=str(n)) for n in range(20)]
    assert all(one.status == "ok" for one in await asyncio.gather(*asked))
    scene.takes.set()
    stored = await scene.settled()
    asked_of = sum(one.is_shadow for one in stored)
    dropped = scene.metrics.shadows_dropped.labels("trial", "tiny@3")._value.get()
    assert asked_of + dropped == 20
    assert dropped > 0


async def test_a_record_is_done_once_its_exposures_are_stored() -> None:
    scene = Scene()
    scene.takes.clear()
    answered = asyncio.Event()

    async def handle(record: Record) -> None:
        await scene.ask(record.key)
        answered.set()

    handling = asyncio.create_task(scene.log.recording(handle)(build_record({}, key=b"k")))
    await answered.wait()
    await asyncio.sleep(0.01)
    assert not handling.done()
    scene.takes.set()
    await handling
    assert len(scene.stored) == 1


async def test_a_topic_that_takes_no_exposure_holds_nothing_up_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exposure_log, "STORED_WITHIN_S", 0.01)
    scene = Scene()
    scene.takes.clear()

    async def handle(record: Record) -> None:
        await scene.ask(record.key)

    recorded = scene.log.recording(handle)
    async with asyncio.timeout(30):
        for number in range(3):
            await recorded(build_record({}, key=str(number).encode(), offset=number))
        await scene.log.close()
    assert scene.stored == []
    lost = scene.metrics.exposures_lost.collect()
    assert sum(one.value for metric in lost for one in metric.samples if "total" in one.name) == 3


async def test_a_request_that_is_not_done_leaves_nothing_to_wait_for() -> None:
    scene = Scene()

    async def handle(record: Record) -> None:
        await scene.ask(record.key)
        raise WorkerFault("it can't go on")

    with pytest.raises(WorkerFault):
        await scene.log.recording(handle)(build_record({}, key=b"k"))
    assert not scene.log._of_record


async def test_an_exposure_that_can_not_be_made_is_counted_and_no_request_s_fault() -> None:
    scene = Scene()
    with capture_logs() as logs:
        scene.log.note({"experiment": "trial", "arm": "tiny@1"}, None)
        await scene.settled()
    assert [line["event"] for line in logs] == ["exposure could not be made"]
    assert scene.metrics.exposures_lost.labels("trial", "tiny@1")._value.get() == 1
