"""Profiles of topics, and members left out while one of them lags."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from functools import partial

import pytest

from streamproc.errors import ModelRefused
from streamproc.kafka.backlog import Backlog
from streamproc.metrics import Metrics
from streamproc.serving.engine import Engines
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.profiles import FULL
from streamproc.settings import Settings
from streamproc.testing import ManualClock, build_engine, build_spec
from streamproc.worker.topic_profiles import LOOK_EVERY_S, TopicProfiles
from tests.support.described_topics import build_topic

topic = partial(build_topic, name="bulk", kind="bulk")


@pytest.fixture
def engines(executor: ModelExecutor) -> Engines:
    spec = replace(build_spec("abc"), cascade_margin=0.9)
    return Engines({"tiny": build_engine(spec, executor=executor)})


def test_what_a_topic_says_comes_before_what_the_settings_say(engines: Engines) -> None:
    settings = Settings(profile="trusted", brown_out_lag_s=5)
    profiles = TopicProfiles(settings, ManualClock(), Metrics())

    as_set = profiles.of_topic(topic(), engines)
    assert as_set.name == "trusted"
    assert as_set.brown_out is not None
    assert as_set.brown_out.objective_s == 5
    own = profiles.of_topic(topic(profile="cascade", brown_out_lag_s=0), engines)
    assert (own.name, own.brown_out) == ("cascade", None)

    plain = TopicProfiles(Settings(), ManualClock(), Metrics())
    assert plain.of_topic(topic(), engines) == FULL


def test_a_topic_is_refused_whose_ensemble_has_no_figure_and_a_setting_is_not(
    engines: Engines,
) -> None:
    profiles = TopicProfiles(Settings(profile="trusted"), ManualClock(), Metrics())
    with pytest.raises(ModelRefused, match="topic bulk: profile trusted: no validation data"):
        profiles.of_topic(topic(profile="trusted"), engines)
    engine = engines["tiny"]
    assert profiles.of_topic(topic(), engines).policy(engine.task, engine.spec) is None


async def test_members_are_left_out_while_the_topic_lags_and_come_back_by_themselves(
    engines: Engines,
) -> None:
    clock, metrics, engine = ManualClock(), Metrics(), engines["tiny"]
    profiles = TopicProfiles(Settings(), clock, metrics)
    profile = profiles.of_topic(topic(brown_out_lag_s=10), engines)
    waited_s = 60.0

    def backlog(topics: Collection[str]) -> Backlog:
        assert topics == ["bulk"]
        return Backlog(5, clock.now_ms() - int(waited_s * 1000))

    async def pass_time(seconds: float) -> None:
        for _ in range(int(seconds / LOOK_EVERY_S)):
            # The watch sleeps, and its clock goes on by that.
            await asyncio.sleep(0)

    def left_out() -> int:
        policy = profile.policy(engine.task, engine.spec)
        assert policy is not None
        assert policy.limit is not None
        return policy.limit.left_out

    watching = asyncio.ensure_future(profiles.watch(backlog))
    await asyncio.sleep(0)
    assert left_out() == 1
    await pass_time(3)
    assert left_out() == 2
    assert metrics.registry.get_sample_value("streamproc_members_left_out", {"topic": "bulk"}) == 2
    waited_s = 1.0
    await pass_time(12)
    assert left_out() == 0
    watching.cancel()
