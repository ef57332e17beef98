from __future__ import annotations

import dataclasses
import json
import random
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

pytest.importorskip("optimum")

from streamproc.errors import TrainingError
from streamproc.offline.training.ensemble import fit_ensemble
from streamproc.offline.training.events import Epoch, MemberEvent, PartFinished, Progress, Step
from streamproc.offline.training.log import read_log
from streamproc.offline.training.plan import Plan
from streamproc.offline.training.pruning import PruneConfig
from streamproc.offline.training.run_folder import RunFolder
from streamproc.offline.training.schedule import Schedule
from streamproc.offline.training.search_space import Range, SearchSpace
from tests.train.test_ensemble_training import course
from tests.train.test_ensemble_training import plan as reviews
from tests.train.test_text_generation_training import corpus as songs
from tests.train.test_translation_training import plan as sentences

pytestmark = pytest.mark.train


class Killed(BaseException):
    """Nothing of the training's own may catch this, as nothing catches a kill."""


def killed_after(steps: int) -> Callable[[Progress], None]:
    left = [steps]

    def tell(told: Progress) -> None:
        left[0] -= isinstance(told, MemberEvent) and isinstance(told.told, Step)
        if left[0] < 0:
            raise Killed

    return tell


def finished(told: list[Progress]) -> dict[str, Epoch]:
    """The best epoch of each member that was trained now."""
    own = [one.told for one in told if isinstance(one, MemberEvent)]
    return {one.part: one.best for one in own if isinstance(one, PartFinished) and not one.again}


def weights(plan: Plan) -> dict[str, bytes]:
    """Of each member, and of the trunk where there is one."""
    return {path.parent.name: path.read_bytes() for path in plan.work.glob("*/model.safetensors")}


def small(plan: Plan, work: Path) -> Plan:
    schedule = Schedule(2, batch_size=8, learning_rate=1e-3, checkpoint_steps=2)
    return dataclasses.replace(plan, work=work, schedule=schedule, trunk=schedule)


@pytest.mark.parametrize("task", ["text-classification", "text-generation", "translation"])
def test_training_cut_short_anywhere_ends_with_the_same_weights(
    corpus: Path, base: Path, tmp_path: Path, task: str
) -> None:
    made = {
        "text-classification": lambda: reviews(corpus, base, tmp_path),
        "text-generation": lambda: songs(tmp_path),
        "translation": lambda: sentences(tmp_path),
    }[task]()
    whole, cut = small(made, tmp_path / "whole"), small(made, tmp_path / "cut")
    told: list[Progress] = []
    fit_ensemble(whole, told.append)

    draw = random.Random(7)
    resumed: list[Progress] = []
    for _ in range(5):
        with pytest.raises(Killed):
            fit_ensemble(cut, killed_after(draw.randint(2, 4)))
    fit_ensemble(cut, resumed.append)

    assert weights(cut) == weights(whole)
    best = finished(told)
    assert best.keys() == weights(whole).keys()
    assert all(own == best[part] for part, own in finished(resumed).items())


def test_a_checkpoint_that_was_not_completed_is_not_gone_on_from(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "cut")
    with pytest.raises(Killed):
        fit_ensemble(plan, killed_after(5))
    kept = plan.work / "_trunk" / "checkpoints"
    assert [path.name for path in kept.glob("checkpoint-*")] == ["checkpoint-4"]
    torn = kept / "unfinished" / "checkpoint-6"
    torn.mkdir(parents=True)
    (torn / "model.safetensors").write_bytes(b"torn")

    fit_ensemble(plan, lambda _: None)

    starts = [one for one in read_log(plan.work / "_trunk") if one["kind"] == "started"]
    assert [one["step"] for one in starts] == [0, 4]
    assert not kept.exists()


def test_what_decided_a_run_is_written_before_it_begins(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "run")
    with pytest.raises(Killed):
        fit_ensemble(plan, killed_after(0))

    run = tomllib.loads((plan.work / "run.toml").read_text("utf-8"))

    assert run["decided"]["seed"] == plan.seed
    assert run["decided"]["schedule"]["learning_rate"] == 1e-3
    assert run["decided"]["course"]["shape"] == {"layers": [0, 2], "ffn_width": 32, "positions": 32}
    assert [one["split"] for one in run["data"]] == ["train", "valid"]
    assert all(len(one["sha256"]) == 64 for one in run["data"])
    assert {"torch", "transformers", "tokenizers", "onnxruntime"} <= run["versions"].keys()
    assert run["machine"]["precision"] in {"fp32", "bf16", "fp16"}


def test_a_run_that_was_begun_otherwise_is_refused_and_what_differs_is_named(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "run")
    with pytest.raises(Killed):
        fit_ensemble(plan, killed_after(3))
    before = (plan.work / "run.toml").read_bytes()
    schedule = dataclasses.replace(plan.schedule, learning_rate=0.5)
    other = dataclasses.replace(plan, schedule=schedule, valid=plan.corpus)

    with pytest.raises(TrainingError, match=r"learning_rate: 0\.001 then, 0\.5 now") as refused:
        fit_ensemble(other, lambda _: None)

    assert "valid.jsonl.sha256" in str(refused.value)
    assert "--fresh" in str(refused.value)
    assert (plan.work / "run.toml").read_bytes() == before
    with pytest.raises(Killed):
        fit_ensemble(other, killed_after(0), fresh=True)
    assert (plan.work / "run.toml").read_bytes() != before


def test_a_run_that_has_nothing_to_lose_begins_anew_when_an_option_is_put_right(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "run")
    wrong = dataclasses.replace(
        plan, course=course(base, shape=PruneConfig((0, 9), 32, positions=32))
    )
    with pytest.raises(TrainingError, match="3 layers"):
        fit_ensemble(wrong, lambda _: None)

    fit_ensemble(plan, lambda _: None)

    assert len(weights(plan)) == 3


def test_a_folder_that_is_no_run_is_left_alone(corpus: Path, base: Path, tmp_path: Path) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "mine")
    plan.work.mkdir()
    (plan.work / "thesis.txt").write_text("chapter 1")

    with pytest.raises(TrainingError, match="no training run"):
        fit_ensemble(plan, lambda _: None, fresh=True)

    assert [path.name for path in plan.work.iterdir() if path.suffix] == ["thesis.txt"]


def test_weights_that_were_exchanged_are_noticed(corpus: Path, base: Path, tmp_path: Path) -> None:
    plan = dataclasses.replace(small(reviews(corpus, base, tmp_path), tmp_path / "run"), trunk=None)
    fit_ensemble(plan, lambda _: None)
    one, other = (plan.work / f"part-{n}-of-2" / "model.safetensors" for n in (1, 2))
    one.write_bytes(other.read_bytes())

    with pytest.raises(TrainingError, match="not those that were trained"):
        RunFolder(plan.work).finished("part-1-of-2")


def test_a_search_tries_settings_and_the_best_ones_are_used_for_all_members(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    space: dict[str, Range | Sequence[float]] = {
        "learning_rate": Range(1e-6, 1e-2, log=True),
        "batch": (8, 16),
    }
    plan = dataclasses.replace(
        small(reviews(corpus, base, tmp_path), tmp_path / "run"),
        trunk=None,
        search=SearchSpace(3, space),
    )
    with pytest.raises(Killed):
        fit_ensemble(plan, killed_after(60))  # within the second trial
    tried = list(plan.work.glob("_search/*/finished.json"))
    told: list[Progress] = []
    fit_ensemble(plan, told.append)

    lines = [json.loads(line) for line in (plan.work / "search.jsonl").read_text().splitlines()]
    assert sorted(line["trial"] for line in lines) == [1, 2, 3]
    assert lines[0]["accuracy"] == max(line["accuracy"] for line in lines)
    assert all(1e-6 <= line["learning_rate"] <= 1e-2 and line["batch"] in {8, 16} for line in lines)
    found = tomllib.loads((plan.work / "run.toml").read_text("utf-8"))["found"]
    assert found == {name: lines[0][name] for name in space}
    # A trial that was finished before the kill is not made again, and the best one is what the
    # members do.
    assert len(tried) >= 1
    largest = f"_search/trial-{lines[0]['trial']:03}"
    assert (plan.work / largest / "model.safetensors").read_bytes() in weights(plan).values()
