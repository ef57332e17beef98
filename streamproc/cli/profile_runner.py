"""Profiles measured on validation data, written to the manifest, and shown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from streamproc.cli.progress import activity
from streamproc.cli.tables import print_table
from streamproc.cli.terminal import TerminalConsole
from streamproc.cli.tuning_runner import (
    answers_to,
    more_is_better,
    require_defined,
    running_pipelines,
)
from streamproc.errors import SettingsError
from streamproc.messages.client import ResponseBody
from streamproc.metrics import Metrics
from streamproc.offline.corpus.rows import described
from streamproc.offline.evaluation.eval_metrics import Metric
from streamproc.offline.evaluation.eval_task import EvalTask
from streamproc.offline.evaluation.eval_tasks import Data, eval_task_for
from streamproc.offline.evaluation.intervals import Estimate, Resamples
from streamproc.offline.evaluation.profiles import (
    chosen_profiles,
    profiles_to_measure,
    with_profiles,
)
from streamproc.profile import Profile
from streamproc.repository.files import atomic_write
from streamproc.repository.manifest import MeasuredProfile, ProfilesSection
from streamproc.repository.repository import MANIFEST, StoredEnsemble
from streamproc.repository.writing import manifest_toml
from streamproc.request_pipeline import Pipeline
from streamproc.serving.profiles import SACRIFICES, TopicProfile
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.task import ScoringTask
from streamproc.settings import Settings

_BROWN_OUT: Final = (
    "Members with the smallest say are left out, one after another, while requests wait longer "
    "than an objective; accuracy is what fewer members have."
)
_OTHER_WAYS: Final = (
    "Faster in other ways: STREAMPROC_DELIVERY=fast does not wait for replication, so that a "
    "response can be lost with a broker; weights of 8 bits (train --precision int8) differ a "
    "little from 32; the cache (STREAMPROC_CACHE_BYTES) gives up nothing but memory."
)


@dataclass(frozen=True, slots=True)
class Measured:
    """An ensemble with what was chosen for it and measured."""

    stored: StoredEnsemble

    @property
    def path(self) -> Path:
        """Of the manifest."""
        return self.stored.folder / MANIFEST

    def write(self) -> None:
        """Have the manifest say it."""
        atomic_write(self.path, manifest_toml(self.stored.manifest))


def measure_profiles(
    settings: Settings,
    stored: StoredEnsemble,
    data: Data,
    *,
    limit: int | None,
    cost: float,
    rounds: int,
    outstanding: int,
) -> Measured:
    """How few members will do, and what each profile comes to; raises OperatorError."""
    _require_choice(stored)
    task, _ = eval_task_for(stored.manifest, data, limit)
    with running_pipelines(settings, stored) as (runner, combined):

        def value(way: StoredEnsemble, profile: TopicProfile) -> float:
            responses = runner.run(answers_to(task, combined(way, profile), outstanding))
            found = more_is_better(task.metrics[0], task.statistics(responses)[0])
            require_defined(task.metrics[0], found)
            return found

        with activity("choosing how few members will do"):
            chosen = chosen_profiles(stored, value, cost)
    profiles = profiles_to_measure(chosen)
    runs = [_Run(one) for one in profiles]
    with (
        running_pipelines(settings, chosen, remembers=False) as (runner, combined),
        activity("measuring each profile") as say,
    ):
        for number in range(rounds):
            for run in runs:
                say(f"round {number + 1} of {rounds}: {_name(run.profile)}")
                pipeline = combined(chosen, run.profile)
                runner.run(run.again(pipeline, task, outstanding))
    members = len(stored.manifest.members)
    figures = [run.measured(task, runs[0], members) for run in runs]
    # One that asks everybody gives up nothing and gains nothing.
    useless = {one.profile for one in figures[1:] if one.members == members}
    section = ProfilesSection(
        cascade_margin=_unless("cascade" in useless, chosen.manifest.profiles.cascade_margin),
        trusted_share=_unless("trusted" in useless, chosen.manifest.profiles.trusted_share),
        data=", ".join(described([source]) for source in data.sources),
        measured=tuple(one for one in figures if one.profile not in useless),
    )
    return Measured(with_profiles(chosen, section))


def show_profiles(stored: StoredEnsemble, console: TerminalConsole) -> None:
    """What was measured, and what each profile gives up."""
    section = stored.manifest.served_profiles
    if section.measured:
        metric = section.measured[0].metric
        console.print(f"{stored.name} on {section.data}")
        rows = [
            (_title(one), _interval(one), f"{one.members:.2f}", f"{one.speedup:.2f} ×")
            for one in section.measured
        ]
        print_table(console, ("profile", metric, "members", "speed"), rows, numbers=(2, 3))
    else:
        console.print(
            f"{stored.name}: nothing was measured yet of its members as they are: "
            f"streamproc profiles {stored.name} DATA --write, with labelled validation data."
        )
    for name, sentence in (*SACRIFICES.items(), ("brown-out", _BROWN_OUT)):
        console.print(f"{name}: {sentence}")
    console.print(_OTHER_WAYS)


class _Run:
    """What requests by one profile came to; of several times the fastest."""

    def __init__(self, profile: TopicProfile) -> None:
        self.profile = profile
        self.cpu_s = float("inf")
        self.responses: Sequence[ResponseBody] = ()
        self._skips = 0.0

    async def again(self, pipeline: Pipeline, task: EvalTask, outstanding: int) -> None:
        before = _skips(pipeline.metrics)
        began_s = time.process_time()
        self.responses = await answers_to(task, pipeline, outstanding)
        self.cpu_s = min(self.cpu_s, time.process_time() - began_s)
        self._skips = _skips(pipeline.metrics) - before

    def measured(self, task: EvalTask, full: _Run, members: int) -> MeasuredProfile:
        metric = task.metrics[0]
        estimate = _estimate(metric, task, self.responses)
        chunks = sum(one["coverage"]["chunks"] for one in self.responses if "coverage" in one)
        return MeasuredProfile(
            profile=_name(self.profile),
            metric=metric.name,
            value=round(estimate.value, 4),
            low=round(estimate.low, 4),
            high=round(estimate.high, 4),
            members=round(members - self._skips / max(1, chunks), 3),
            speedup=round(full.cpu_s / self.cpu_s, 3),
        )


def _estimate(metric: Metric, task: EvalTask, responses: Sequence[ResponseBody]) -> Estimate:
    statistics = task.statistics(responses)[0]
    drawn = metric.of_sums(Resamples(len(statistics)).sums(statistics))
    return Estimate.of(metric.value(statistics), drawn)


def _skips(metrics: Metrics) -> float:
    return sum(
        sample.value
        for family in metrics.member_skips.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    )


def _name(profile: TopicProfile) -> Profile | Literal["brown-out"]:
    return profile.name if profile.brown_out is None else "brown-out"


def _unless(is_useless: bool, number: float | None) -> float | None:
    return None if is_useless else number


def _title(one: MeasuredProfile) -> str:
    return f"brown-out to {one.members:.0f}" if one.profile == "brown-out" else one.profile


def _interval(one: MeasuredProfile) -> str:
    value, low, high = (f"{number:.3f}" for number in (one.value, one.low, one.high))
    return f"{value} ({low} to {high})"


def _require_choice(stored: StoredEnsemble) -> None:
    """Raises SettingsError where there is nothing to choose."""
    task = task_named(stored.manifest.task)
    if not isinstance(task, ScoringTask):
        raise SettingsError(
            f"members of {task.name} write every token together, so that all are always asked: "
            "there are no profiles to measure"
        )
    if len(stored.manifest.members) < 2:
        raise SettingsError(f"{stored.name} has one member, which is always asked")
