"""Requests that ask fewer members than there are, through the whole pipeline."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamproc.errors import MemberFailed, ModelRefused
from streamproc.metrics import Metrics
from streamproc.request_pipeline import Pipeline
from streamproc.serving.brown_out import BrownOut
from streamproc.serving.engine import Engine
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.profiles import FULL, TopicProfile, require_profile
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.testing import (
    MemoryBroker,
    ScriptedSession,
    build_engine,
    build_pipeline,
    build_record,
    build_route,
    build_spec,
)
from tests.support.answer_caches import RowCounter, build_cache, outcomes

TEXTS = ["the good film", "bad", "good good film", "the film the film", "a bad bad film"]
TASKS: dict[str, dict[str, Any]] = {
    "text-classification": {"text": "the good film is good"},
    "token-classification": {"text": "the good film is good"},
    "question-answering": {"question": "the film", "context": "the good film is good"},
}


def spec_of(task: str, cascade_margin: float) -> EnsembleSpec:
    labels = ["O", "B-X"] if task == "token-classification" else ["negative", "positive"]
    profile = build_spec("abc", labels=() if task == "question-answering" else labels)
    return replace(profile, cascade_margin=cascade_margin)


def pipeline_by(
    broker: MemoryBroker,
    engine: Engine,
    profile: TopicProfile,
    task: str = "text-classification",
    **more: Any,
) -> Pipeline:
    return build_pipeline(broker, engine, route=build_route(task=task), profile=profile, **more)


async def responses(
    engine: Engine, profile: TopicProfile, *inputs: dict[str, Any], task: str
) -> list[dict[str, Any]]:
    broker = MemoryBroker()
    pipeline = pipeline_by(broker, engine, profile, task)
    for number, one in enumerate(inputs):
        await pipeline(build_record({"id": str(number), **one}))
    found = broker.values("responses")
    for one in found:
        del one["timing"]
    return found


def statuses(response: dict[str, Any]) -> list[str]:
    return [member["status"] for member in response["members"]]


def brown_out(left_out: int) -> TopicProfile:
    return TopicProfile(brown_out=BrownOut(1.0, left_out=left_out))


@pytest.mark.parametrize("task", TASKS)
async def test_a_cascade_that_is_never_sure_enough_answers_as_all_members_do(
    executor: ModelExecutor, task: str
) -> None:
    spec = spec_of(task, cascade_margin=1.0)
    engine = build_engine(spec, task=task, executor=executor)
    full = await responses(engine, FULL, TASKS[task], task=task)
    assert await responses(engine, TopicProfile("cascade"), TASKS[task], task=task) == full
    assert "profile" not in full[0]


@pytest.mark.parametrize("task", TASKS)
async def test_a_cascade_that_is_always_sure_enough_answers_as_its_first_member_does(
    executor: ModelExecutor, task: str
) -> None:
    spec = spec_of(task, cascade_margin=0.0)
    engine = build_engine(spec, task=task, executor=executor)
    alone = replace(spec, members=spec.members[:1], needed_members=1)
    first = build_engine(alone, task=task, executor=executor)

    (found,) = await responses(engine, TopicProfile("cascade"), TASKS[task], task=task)
    (own,) = await responses(first, FULL, TASKS[task], task=task)

    assert found["result"] == own["result"]
    assert statuses(found) == ["ok", "skipped", "skipped"]
    assert (found["status"], found["profile"]) == ("ok", "cascade")
    assert found["agreement"] == 1


async def test_of_a_cascade_those_texts_ask_more_members_that_the_first_is_not_sure_of(
    executor: ModelExecutor,
) -> None:
    task = "text-classification"
    engine = build_engine(spec_of(task, cascade_margin=0.5), executor=executor)
    found = await responses(
        engine, TopicProfile("cascade"), *({"text": text} for text in TEXTS), task=task
    )
    asked = {statuses(one).count("ok") for one in found}
    assert asked == {1, 2, 3}


async def test_what_none_of_those_asked_can_tell_does_not_settle_it(
    executor: ModelExecutor,
) -> None:
    known = {"a": ["x", "y"], "b": ["x", "y", "z"]}
    spec = build_spec("ab", labels=["x", "y", "z"], member_labels=known)
    engine = build_engine(replace(spec, cascade_margin=0.0), executor=executor)
    (found,) = await responses(
        engine, TopicProfile("cascade"), {"text": "good"}, task="text-classification"
    )
    assert statuses(found) == ["ok", "ok"]


@pytest.mark.parametrize(("left_out", "asked"), [(1, 2), (2, 1), (7, 1)])
async def test_a_brown_out_leaves_members_out_and_says_so(
    executor: ModelExecutor, left_out: int, asked: int
) -> None:
    engine = build_engine(executor=executor)
    (found,) = await responses(
        engine, brown_out(left_out), {"text": "good"}, task="text-classification"
    )
    assert statuses(found) == ["ok"] * asked + ["skipped"] * (3 - asked)
    assert (found["status"], found["profile"]) == ("ok", "brown-out")


async def test_where_the_member_that_is_asked_fails_the_others_answer(
    executor: ModelExecutor,
) -> None:
    def fail(_: Batch) -> None:
        raise MemberFailed("a", "broken")

    sessions = [ScriptedSession("a", before=fail), ScriptedSession("b"), ScriptedSession("c")]
    engine = build_engine(build_spec("abc", quorum=2), sessions, executor=executor)
    (found,) = await responses(engine, brown_out(2), {"text": "good"}, task="text-classification")
    assert statuses(found) == ["failed", "ok", "ok"]
    assert (found["status"], found.get("profile")) == ("partial", None)


async def test_of_a_long_text_a_member_is_skipped_that_was_not_asked_for_all_of_it(
    executor: ModelExecutor,
) -> None:
    engine = build_engine(spec_of("text-classification", cascade_margin=0.2), executor=executor)
    (found,) = await responses(
        engine,
        TopicProfile("cascade"),
        {"text": " ".join(TEXTS * 4), "params": {"return_members": True}},
        task="text-classification",
    )
    assert found["coverage"]["chunks"] > 3
    assert "skipped" in statuses(found)
    assert found["members"][0]["result"]["label"] in {"negative", "positive"}


async def test_each_profile_keeps_its_own_answers_and_a_brown_out_keeps_none(
    executor: ModelExecutor,
) -> None:
    counter, metrics = RowCounter(), Metrics()
    sessions = [ScriptedSession(name, before=counter) for name in "abc"]
    spec = spec_of("text-classification", cascade_margin=0.0)
    engine = build_engine(spec, sessions, executor=executor)
    cache, broker = build_cache(metrics=metrics), MemoryBroker()
    request = build_record({"id": "1", "text": "good"})

    for profile in (brown_out(2), brown_out(2), TopicProfile("cascade"), FULL):
        await pipeline_by(broker, engine, profile, cache=cache)(request)
    assert counter.rows == 1 + 1 + 1 + 3
    # What all members say is at hand, and better than what a brown-out would ask for.
    for profile in (TopicProfile("cascade"), FULL, brown_out(2)):
        await pipeline_by(broker, engine, profile, cache=cache)(request)
    assert counter.rows == 1 + 1 + 1 + 3
    assert outcomes(metrics)["memory"] == 3

    said = [one.get("profile") for one in broker.values("responses")]
    assert said == ["brown-out", "brown-out", "cascade", None, "cascade", None, None]


@pytest.mark.parametrize(
    ("profile", "task", "says"),
    [
        ("cascade", "text-classification", "streamproc profiles tiny DATA --write"),
        ("trusted", "token-classification", "streamproc profiles tiny DATA --write"),
        ("cascade", "translation", "write every token together"),
    ],
)
def test_a_profile_that_an_ensemble_can_not_be_served_by_is_refused(
    profile: Any, task: str, says: str
) -> None:
    with pytest.raises(ModelRefused, match=says):
        require_profile(profile, task_named(task), build_spec(), "topic t")
    require_profile("full", task_named(task), build_spec(), "topic t")
