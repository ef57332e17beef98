"""A search of hyperparameters: a few trials on one part, the best schedule is used for all."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import optuna

from streamproc.errors import TrainingDiverged
from streamproc.offline.training.config import TrainConfig
from streamproc.offline.training.devices import process
from streamproc.offline.training.events import OnEvent, TrialFinished
from streamproc.offline.training.options import Schedule
from streamproc.offline.training.run_folder import RunFolder
from streamproc.offline.training.search_space import DEFAULT_SPACE, Choices, Range
from streamproc.offline.training.training_session import MemberJob

FOLDER = "_search"
LOG = "search.jsonl"


def search(
    config: TrainConfig,
    run: RunFolder,
    job: MemberJob,
    train: Callable[[Sequence[MemberJob]], None],
    on_event: OnEvent,
) -> Schedule:
    """The best schedule by the validation metric of one member.

    job:   of the member, with the options that are not searched
    train: trains members, or finds that they were

    The same seed proposes the same options for the same results, so a search that was cut short
    goes through the trials it had made and on (decision 38). Writes `search.jsonl`, best first, of
    those that did not diverge.
    Raises TrainingDiverged where all did.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    startup = max(2, config.trials // 3)
    sampler = optuna.samplers.TPESampler(seed=config.seed, n_startup_trials=startup)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space = config.search or DEFAULT_SPACE
    tried: list[tuple[tuple[float, float], Schedule, dict[str, Any]]] = []
    for number in range(1, config.trials + 1):
        trial = study.ask()
        chosen: dict[str, float] = {
            name: _suggested(trial, name, values) for name, values in space.items()
        }
        schedule = job.schedule.model_copy(update=chosen)
        folder = f"{FOLDER}/trial-{number:03}"
        try:
            train([dataclasses.replace(job, schedule=schedule, folder=folder)])
        except TrainingDiverged:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            on_event(TrialFinished(number, config.trials, chosen, None))
            continue
        best = run.finished(folder)
        assert best is not None  # noqa: S101  # it has been trained
        metrics = best.validation
        study.tell(trial, metrics.selection_key[0])
        on_event(TrialFinished(number, config.trials, chosen, best))
        line = {"epoch": best.epoch, "loss": metrics.loss, **metrics.metrics}
        tried.append((metrics.selection_key, schedule, {"trial": number, **chosen, **line}))
    if not tried:
        raise TrainingDiverged(
            f"All of {config.trials} trials diverged: let --search have lower learning rates."
        )
    tried.sort(key=lambda one: one[0], reverse=True)
    _, schedule, found = tried[0]
    if process() == 0:
        lines = [json.dumps(line) + "\n" for _, _, line in tried]
        (run.path / LOG).write_text("".join(lines), encoding="utf-8")
        run.note_found({name: found[name] for name in space})
    return schedule


def _suggested(trial: optuna.Trial, name: str, values: Range | Choices) -> float:
    value: float
    if not isinstance(values, Range):
        value = trial.suggest_categorical(name, list(values))
    elif isinstance(values.low, int) and isinstance(values.high, int):
        value = trial.suggest_int(name, values.low, values.high, log=values.log)
    else:
        value = trial.suggest_float(name, values.low, values.high, log=values.log)
    return value
