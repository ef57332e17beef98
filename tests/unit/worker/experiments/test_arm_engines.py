"""The engines of arms: loaded beside those that serve, let go of, handed on when promoted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from streamproc.clock import SystemClock
from streamproc.messages.experiment import Arm, Experiment
from streamproc.messages.model_choice import ModelChoice
from streamproc.metrics import Metrics
from streamproc.repository.repository import Repository
from streamproc.settings import Settings
from streamproc.testing import build_tokenizer
from streamproc.worker.experiments.arm_engines import ArmEngines
from streamproc.worker.model_versions import ModelVersions
from streamproc.worker.models import Models
from tests.support.experiments import arm, experiment
from tests.support.onnx_models import classifier, write_ensemble

TASK = "text-classification"


def write(root: Path, name: str, seed: int, **changes: Any) -> None:
    words = build_tokenizer().vocabulary_size
    model = classifier(words, labels=changes.pop("outputs", 2), seed=seed)
    write_ensemble(root / name, [model], **changes)


def arm_of(root: Path, version: str, ensemble: str = "tiny") -> Arm:
    stored = Repository(root).open(f"{ensemble}@{version}")
    return arm(version, name=stored.version, ensemble=ensemble, manifest=stored.digest)


@asynccontextmanager
async def serving(root: Path, **options: Any) -> AsyncIterator[tuple[ModelVersions, ArmEngines]]:
    settings = Settings(models_dir=root, device="cpu", threads=1)
    models = Models(settings, SystemClock(), Metrics())
    versions = ModelVersions(models, {}, SystemClock(), models.metrics, **options)
    versions.load([TASK], {})
    try:
        yield versions, ArmEngines(versions)
    finally:
        await versions.close()
        await models.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed, name in enumerate(("tiny", "tiny@2", "other"), start=1):
        write(tmp_path, name, seed)
    return tmp_path


def two(root: Path, **changes: Any) -> Experiment:
    return experiment(arm_of(root, "1"), arm_of(root, "2"), **changes)


async def test_the_version_that_serves_is_its_arm_and_others_are_loaded_beside_it(
    root: Path,
) -> None:
    async with serving(root) as (versions, arms):
        own = two(root)
        control, other = own.arms
        assert arms.engine(TASK, control) is versions.by_task[TASK]["tiny"]
        assert arms.engine(TASK, other) is None
        await arms.follow([own])
        beside = arms.engine(TASK, other)
        assert beside is not None
        assert beside.spec.digest == other.manifest
        assert arms.refusals(own) == {}
        await arms.follow([own])
        assert arms.engine(TASK, other) is beside


async def test_another_ensemble_of_the_task_may_be_an_arm(root: Path) -> None:
    async with serving(root) as (versions, arms):
        own = experiment(
            arm_of(root, "1"), arm_of(root, "1", "other").model_copy(update={"name": "other"})
        )
        await arms.follow([own])
        assert arms.engine(TASK, own.arms[1]) is versions.by_task[TASK]["other"]


async def test_an_arm_whose_experiment_has_ended_is_let_go(root: Path) -> None:
    async with serving(root) as (_, arms):
        own = two(root)
        await arms.follow([own])
        await arms.follow([])
        assert arms.engine(TASK, own.arms[1]) is None


async def test_an_arm_that_is_promoted_is_not_loaded_a_second_time(root: Path) -> None:
    async with serving(root) as (versions, arms):
        own = two(root)
        await arms.follow([own])
        beside = arms.engine(TASK, own.arms[1])
        choice = ModelChoice(group="g", ensemble="tiny", serves=own.arms[1].serves)
        keeping = asyncio.create_task(versions.keep())
        try:
            versions.tell({"tiny": choice})
            async with asyncio.timeout(30):
                await versions.settled.wait()
            assert versions.by_task[TASK]["tiny"] is beside
            await arms.follow([own])
            assert arms.engine(TASK, own.arms[1]) is beside
            # The control is what does not serve any more: it is loaded beside.
            control = arms.engine(TASK, own.control)
            assert control is not None
            assert control.spec.digest == own.control.manifest
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})


async def test_why_an_arm_is_not_served_is_said_once_and_it_is_tried_again_when_files_change(
    root: Path,
) -> None:
    own = two(root)
    model = root / "tiny@2" / "m0.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-10])
    async with serving(root) as (_, arms):
        with capture_logs() as logs:
            await arms.follow([own])
            await arms.follow([own])
        assert [line["event"] for line in logs].count("arm refused") == 1
        (reason,) = arms.refusals(own).values()
        assert "m0.onnx is not the file the manifest names" in reason
        model.write_bytes(content)
        await arms.follow([own])
        assert arms.refusals(own) == {}
        assert arms.engine(TASK, own.arms[1]) is not None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"manifest": "f" * 64}, "its manifest is"),
        ({"version": "7"}, "no version '7'"),
        ({"ensemble": "nobody"}, "no ensemble 'nobody'"),
    ],
)
async def test_an_arm_that_is_not_what_the_folder_has_is_refused(
    root: Path, changes: dict[str, str], reason: str
) -> None:
    async with serving(root) as (_, arms):
        control, other = two(root).arms
        own = experiment(control, other.model_copy(update={"manifest": "e" * 64, **changes}))
        await arms.follow([own])
        (said,) = arms.refusals(own).values()
        assert reason in said


async def test_an_arm_that_does_not_fit_into_memory_is_refused_and_tried_again(root: Path) -> None:
    free = [0]
    async with serving(root, free_bytes=lambda: free[0]) as (_, arms):
        own = two(root)
        await arms.follow([own])
        (reason,) = arms.refusals(own).values()
        assert "MiB are missing" in reason
        free[0] = 1 << 40
        await arms.follow([own])
        assert arms.refusals(own) == {}


async def test_an_arm_with_other_labels_is_refused(root: Path) -> None:
    write(root, "third", 3, outputs=3, labels=("a", "b", "c"))
    async with serving(root) as (_, arms):
        other = arm_of(root, "1", "third").model_copy(update={"name": "third"})
        own = experiment(arm_of(root, "1"), other)
        await arms.follow([own])
        # It serves under its own name, but those who read the answers of tiny know other labels.
        assert arms.engine(TASK, other) is None
        (said,) = arms.refusals(own).values()
        assert "other labels" in said
