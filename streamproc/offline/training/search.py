"""Searching how fast and how long to learn: a few trials on one part, the best is used for all."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import optuna

from streamproc.offline.training.devices import process
from streamproc.offline.training.events import Epoch, OnEvent, TrialFinished
from streamproc.offline.training.run_folder import RunFolder
from streamproc.offline.training.schedule import Schedule
from streamproc.offline.training.search_space import NAMES, Range, SearchSpace
from streamproc.offline.training.training_session import MemberJob

FOLDER = "_search"
LOG = "search.jsonl"


def search(
    found: SearchSpace,
    run: RunFolder,
    place: MemberJob,
    seed: int,
    train: Callable[[MemberJob], None],
    tell: OnEvent,
) -> Schedule:
    """The best settings by the validation metric of one member.

    place: of the member, with the settings that are not searched
    train: trains the member at a place, or finds that it was

    The same seed proposes the same settings for the same results, so a search that was cut short
    goes through the trials it had made and on. Writes `search.jsonl`, best first.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(2, found.trials // 3))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    tried: list[tuple[tuple[float, float], Schedule, dict[str, Any]]] = []
    for number in range(1, found.trials + 1):
        trial = study.ask()
        chosen = {name: _suggested(trial, name, space) for name, space in found.space.items()}
        settings: dict[str, Any] = {NAMES[name]: value for name, value in chosen.items()}
        schedule = dataclasses.replace(place.schedule, **settings)
        folder = f"{FOLDER}/trial-{number:03}"
        train(dataclasses.replace(place, schedule=schedule, folder=folder))
        best = run.finished(folder)
        assert best is not None  # noqa: S101  # it has been trained
        study.tell(trial, _objective(best))
        tell(TrialFinished(number, found.trials, chosen, best))
        line = {"trial": number, **chosen, **_reached(best)}
        tried.append((best.judgement.deciding, schedule, line))
    tried.sort(key=lambda one: one[0], reverse=True)
    if process() == 0:
        lines = [json.dumps(line) + "\n" for _, _, line in tried]
        (run.path / LOG).write_text("".join(lines), encoding="utf-8")
        run.note_found({name: tried[0][2][name] for name in found.space})
    return tried[0][1]


def _suggested(trial: optuna.Trial, name: str, space: Range | Sequence[float]) -> float:
    value: float
    if not isinstance(space, Range):
        value = trial.suggest_categorical(name, list(space))
    elif isinstance(space.low, int) and isinstance(space.high, int):
        value = trial.suggest_int(name, space.low, space.high, log=space.log)
    else:
        value = trial.suggest_float(name, space.low, space.high, log=space.log)
    return value


def _objective(best: Epoch) -> float:
    return best.judgement.deciding[0]


def _reached(best: Epoch) -> dict[str, float]:
    return {"epoch": best.epoch, "loss": best.judgement.loss, **best.judgement.metrics}
