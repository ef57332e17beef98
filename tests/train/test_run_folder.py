from __future__ import annotations

import dataclasses
import json
import random
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("optimum")

from streamproc.errors import TrainingError
from streamproc.offline.training.ensemble import TrainAll, train_ensemble, train_here
from streamproc.offline.training.events import (
    Epoch,
    Event,
    MemberEvent,
    MemberFinished,
    Step,
    TrialFinished,
)
from streamproc.offline.training.jobs import Jobs
from streamproc.offline.training.log import read_log
from streamproc.offline.training.plan import TrainingPlan
from streamproc.offline.training.pruning import PruneConfig
from streamproc.offline.training.publishing import export_ensemble
from streamproc.offline.training.run_folder import RunFolder
from streamproc.offline.training.search_space import Range, SearchSpace
from tests.support.training_plans import review_recipe, reviews, sentence_pairs, songs
from tests.support.trainings import changed

pytestmark = pytest.mark.train


class Killed(BaseException):
    """Nothing of the training's own may catch this, as nothing catches a kill."""


def killed_after(steps: int) -> Callable[[Event], None]:
    left = [steps]

    def tell(told: Event) -> None:
        left[0] -= isinstance(told, MemberEvent) and isinstance(told.event, Step)
        if left[0] < 0:
            raise Killed

    return tell


def finished(told: list[Event]) -> dict[str, Epoch]:
    """The best epoch of each member that was trained now."""
    own = [one.event for one in told if isinstance(one, MemberEvent)]
    return {one.part: one.best for one in own if isinstance(one, MemberFinished) and not one.again}


def weights(plan: TrainingPlan) -> dict[str, bytes]:
    """Of each member, and of the seed model where there is one."""
    return {path.parent.name: path.read_bytes() for path in plan.folder.glob("*/model.safetensors")}


def small(plan: TrainingPlan, work: Path) -> TrainingPlan:
    schedule = {"epochs": 2, "patience": 2, "batch": 8, "learning_rate": 1e-3}
    seed_model = {"seed_model_epochs": 2, "seed_model_learning_rate": 1e-3}
    other = changed(plan, **schedule, **seed_model, checkpoint_steps=2)
    return dataclasses.replace(other, folder=work)


@pytest.mark.parametrize(
    "task",
    [
        "text-classification",
        pytest.param("text-generation", marks=pytest.mark.nightly),
        pytest.param("translation", marks=pytest.mark.nightly),
    ],
)
def test_training_cut_short_anywhere_ends_with_the_same_weights(
    corpus: Path, base: Path, tmp_path: Path, task: str
) -> None:
    made = {
        "text-classification": lambda: reviews(corpus, base, tmp_path),
        "text-generation": lambda: songs(tmp_path),
        "translation": lambda: sentence_pairs(tmp_path),
    }[task]()
    whole, cut = small(made, tmp_path / "whole"), small(made, tmp_path / "cut")
    told: list[Event] = []
    train_ensemble(whole, told.append, export=False)

    draw = random.Random(7)
    resumed: list[Event] = []
    for _ in range(5):
        with pytest.raises(Killed):
            train_ensemble(cut, killed_after(draw.randint(2, 4)), export=False)
    train_ensemble(cut, resumed.append, export=False)

    assert weights(cut) == weights(whole)
    best = finished(told)
    assert best.keys() == weights(whole).keys()
    assert all(own == best[part] for part, own in finished(resumed).items())


def test_a_checkpoint_that_was_not_completed_is_not_gone_on_from(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "cut")
    with pytest.raises(Killed):
        train_ensemble(plan, killed_after(5), export=False)
    kept = plan.folder / "_seed_model" / "checkpoints"
    assert [path.name for path in kept.glob("checkpoint-*")] == ["checkpoint-4"]
    torn = kept / "unfinished" / "checkpoint-6"
    torn.mkdir(parents=True)
    (torn / "model.safetensors").write_bytes(b"torn")

    train_ensemble(plan, lambda _: None, export=False)

    starts = [one for one in read_log(plan.folder / "_seed_model") if one["kind"] == "started"]
    assert [one["step"] for one in starts] == [0, 4]
    assert not kept.exists()


def test_what_decided_a_run_is_written_before_it_begins(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "run")
    with pytest.raises(Killed):
        train_ensemble(plan, killed_after(0), export=False)

    run = tomllib.loads((plan.folder / "run.toml").read_text("utf-8"))

    assert run["arguments"]["seed"] == plan.config.seed
    assert run["arguments"]["learning_rate"] == 1e-3
    shape = {name: run["arguments"][name] for name in ("layers", "ffn_width", "window")}
    assert shape == {"layers": "0,2", "ffn_width": 32, "window": 32}
    assert [one["split"] for one in run["data"]] == ["train", "valid"]
    assert all(len(one["sha256"]) == 64 for one in run["data"])
    assert {"torch", "transformers", "tokenizers", "onnxruntime"} <= run["versions"].keys()
    assert run["machine"]["precision"] in {"fp32", "bf16", "fp16"}


def test_a_run_that_was_begun_otherwise_is_refused_and_what_differs_is_named(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "run")
    with pytest.raises(Killed):
        train_ensemble(plan, killed_after(3), export=False)
    before = (plan.folder / "run.toml").read_bytes()
    other = dataclasses.replace(changed(plan, learning_rate=0.5), valid=plan.corpus)

    with pytest.raises(TrainingError, match=r"with --learning-rate 0\.001, now 0\.5") as refused:
        train_ensemble(other, lambda _: None, export=False)

    assert "valid.jsonl.sha256" in str(refused.value)
    assert "--fresh" in str(refused.value)
    assert (plan.folder / "run.toml").read_bytes() == before
    with pytest.raises(Killed):
        train_ensemble(other, killed_after(0), fresh=True, export=False)
    assert (plan.folder / "run.toml").read_bytes() != before


def test_a_run_that_has_nothing_to_lose_begins_anew_when_an_option_is_put_right(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "run")
    recipe = review_recipe(base, shape=PruneConfig((0, 9), 32, positions=32))
    wrong = dataclasses.replace(changed(plan, layers="0,9"), recipe=recipe)
    with pytest.raises(TrainingError, match="3 layers"):
        train_ensemble(wrong, lambda _: None, export=False)

    train_ensemble(plan, lambda _: None, export=False)

    assert len(weights(plan)) == 3


def test_a_version_that_the_repository_has_is_refused_before_anything_is_trained(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = reviews(corpus, base, tmp_path)
    there = plan.config.out / "tiny" / "part-2-of-2" / "1"
    there.mkdir(parents=True)

    for _ in range(2):
        with pytest.raises(TrainingError, match=r"part-2-of-2/1 is there already.*--version"):
            train_ensemble(plan, killed_after(0))
    RunFolder(plan.folder).note_export(there)
    with pytest.raises(Killed):
        train_ensemble(plan, killed_after(0))


def test_an_ensemble_that_another_run_has_written_is_not_replaced(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "run")
    train_ensemble(plan, lambda _: None, export=False)
    there = plan.config.out / "tiny" / "books" / "1"
    there.mkdir(parents=True)

    with pytest.raises(TrainingError, match="books/1 is there already"):
        export_ensemble(plan, lambda _: None)
    with pytest.raises(TrainingError, match="books/1 is there already"):
        train_ensemble(plan, killed_after(0))

    assert [path.name for path in there.parent.parent.iterdir()] == ["books"]


def test_a_run_of_any_seed_can_be_trained(corpus: Path, base: Path, tmp_path: Path) -> None:
    plan = changed(reviews(corpus, base, tmp_path), seed=2**32 - 1, epochs=1)

    train_ensemble(plan, lambda _: None, export=False)

    assert len(weights(plan)) == 2


def test_a_folder_that_is_no_run_is_left_alone(corpus: Path, base: Path, tmp_path: Path) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "mine")
    plan.folder.mkdir()
    (plan.folder / "thesis.txt").write_text("chapter 1")

    with pytest.raises(TrainingError, match="no training run"):
        train_ensemble(plan, lambda _: None, fresh=True, export=False)

    assert [path.name for path in plan.folder.iterdir() if path.suffix] == ["thesis.txt"]


def test_weights_that_were_exchanged_are_noticed(corpus: Path, base: Path, tmp_path: Path) -> None:
    plan = changed(small(reviews(corpus, base, tmp_path), tmp_path / "run"), seed_model_epochs=0)
    train_ensemble(plan, lambda _: None, export=False)
    one, other = (plan.folder / f"part-{n}-of-2" / "model.safetensors" for n in (1, 2))
    one.write_bytes(other.read_bytes())

    with pytest.raises(TrainingError, match="not those that were trained"):
        RunFolder(plan.folder).finished("part-1-of-2")


@pytest.mark.parametrize("train_all", [train_here, Jobs(2)])
def test_a_search_goes_on_behind_trials_that_diverge(
    corpus: Path, base: Path, tmp_path: Path, train_all: TrainAll
) -> None:
    space: SearchSpace = {"learning_rate": (1e-3, 1e30)}
    made = small(reviews(corpus, base, tmp_path), tmp_path / "run")
    plan = changed(made, seed_model_epochs=0, trials=4, search=space)
    told: list[Event] = []

    train_ensemble(plan, told.append, train_all=train_all, export=False)

    tried = [event for event in told if isinstance(event, TrialFinished)]
    assert {(one.chosen["learning_rate"], one.best is None) for one in tried} == {
        (1e-3, False),
        (1e30, True),
    }
    found = tomllib.loads((plan.folder / "run.toml").read_text("utf-8"))["found"]
    assert found == {"learning_rate": 1e-3}


def test_a_search_of_which_every_trial_diverges_says_so(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    made = small(reviews(corpus, base, tmp_path), tmp_path / "run")
    plan = changed(made, seed_model_epochs=0, trials=2, search={"learning_rate": (1e29, 1e30)})

    with pytest.raises(TrainingError, match="All of 2 trials diverged"):
        train_ensemble(plan, lambda _: None, export=False)


def test_a_search_tries_settings_and_the_best_ones_are_used_for_all_members(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    space: SearchSpace = {
        "learning_rate": Range(1e-6, 1e-2, log=True),
        "batch": (8, 16),
    }
    plan = changed(
        small(reviews(corpus, base, tmp_path), tmp_path / "run"),
        seed_model_epochs=0,
        trials=3,
        search=space,
    )
    with pytest.raises(Killed):
        train_ensemble(plan, killed_after(60), export=False)  # within the second trial
    tried = list(plan.folder.glob("_search/*/finished.json"))
    told: list[Event] = []
    train_ensemble(plan, told.append, export=False)

    lines = [json.loads(line) for line in (plan.folder / "search.jsonl").read_text().splitlines()]
    assert sorted(line["trial"] for line in lines) == [1, 2, 3]
    assert lines[0]["accuracy"] == max(line["accuracy"] for line in lines)
    assert all(1e-6 <= line["learning_rate"] <= 1e-2 and line["batch"] in {8, 16} for line in lines)
    found = tomllib.loads((plan.folder / "run.toml").read_text("utf-8"))["found"]
    assert found == {name: lines[0][name] for name in space}
    # A trial that was finished before the kill is not made again, and the best one is what the
    # members do.
    assert len(tried) >= 1
    largest = f"_search/trial-{lines[0]['trial']:03}"
    assert (plan.folder / largest / "model.safetensors").read_bytes() in weights(plan).values()
