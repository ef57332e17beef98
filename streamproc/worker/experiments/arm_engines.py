"""The engines of arms: those that serve anyway, and others that are loaded beside them."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from streamproc.did_you_mean import there_are
from streamproc.errors import ModelRefused
from streamproc.messages.experiment import Arm, Experiment
from streamproc.messages.model_choice import VersionDigest
from streamproc.serving.engine import Engine, Engines
from streamproc.worker.interface import Interface
from streamproc.worker.model_versions import ModelVersions
from streamproc.worker.refusals import Refusal

log = structlog.get_logger(__name__)


class ArmEngines:
    """What answers for the arms of the experiments that run; `follow` loads what is missing."""

    def __init__(self, versions: ModelVersions) -> None:
        self._versions = versions
        self._beside: dict[tuple[str, str], Engine] = {}
        self._refused: dict[tuple[str, str], Refusal] = {}
        # An arm that is promoted need not be loaded a second time.
        versions.at_hand = self._give_up

    def engine(self, task: str, arm: Arm) -> Engine | None:
        """The engine of an arm; None: it can't be served, or not yet."""
        if _key(arm) in self._refused:
            return None
        return self._serving(task, arm) or self._beside.get(_key(arm))

    def refusals(self, experiment: Experiment) -> dict[str, str]:
        """Why arms of an experiment are not served, by their names."""
        return {
            arm.name: self._refused[_key(arm)].reason
            for arm in experiment.arms
            if _key(arm) in self._refused
        }

    async def follow(self, running: Sequence[Experiment]) -> None:
        """Load what the arms of these need, and let go of what they do not."""
        wanted = {_key(arm): (one, arm) for one in running for arm in one.arms}
        for key in self._beside.keys() - wanted.keys():
            self._versions.let_go(self._beside.pop(key))
        self._refused = {key: why for key, why in self._refused.items() if key in wanted}
        for key, (experiment, arm) in wanted.items():
            serving = self._serving(experiment.task, arm)
            if serving is not None and key in self._beside:
                # It has been promoted meanwhile: one of the two is enough.
                self._versions.let_go(self._beside.pop(key))
            if key not in self._beside and (serving or self._is_worth_a_try(arm)):
                await self._admit(experiment, arm, serving)

    def _give_up(self, ensemble: str, wanted: VersionDigest) -> Engine | None:
        return self._beside.pop((ensemble, wanted.manifest), None)

    def _engines(self, task: str) -> Engines:
        return self._versions.by_task.get(task) or Engines({})

    def _serving(self, task: str, arm: Arm) -> Engine | None:
        """The engine of an arm where it is what serves anyway."""
        found = self._engines(task).get(arm.ensemble)
        return found if found is not None and found.spec.digest == arm.manifest else None

    async def _admit(self, experiment: Experiment, arm: Arm, serving: Engine | None) -> None:
        """Have an arm answer, which is loaded where it does not serve anyway, or say why not."""
        engines, new = self._engines(experiment.task), None
        try:
            _require_ensemble(engines, experiment.ensemble)
            _require_ensemble(engines, arm.ensemble)
            if serving is None:
                new = await self._versions.load_beside(engines, arm.ensemble, arm.serves)
            _require_interface(engines[experiment.ensemble], serving or new, arm)
        except Exception as error:  # noqa: BLE001 - whatever it is, the arm is not served
            if new is not None:
                self._versions.let_go(new)
            self._refuse(experiment, arm, error)
            return
        self._refused.pop(_key(arm), None)
        if new is not None:
            self._beside[_key(arm)] = new
            log.info("arm is served", experiment=experiment.name, arm=arm.name)

    def _refuse(self, experiment: Experiment, arm: Arm, error: Exception) -> None:
        before = self._refused.get(_key(arm))
        refusal = Refusal.of(self._versions.repository, arm.ensemble, arm.serves, error)
        self._refused[_key(arm)] = refusal
        if before is None or before.reason != refusal.reason:
            about = {"experiment": experiment.name, "arm": arm.name}
            log.error("arm refused", **about, reason=refusal.reason)

    def _is_worth_a_try(self, arm: Arm) -> bool:
        refused = self._refused.get(_key(arm))
        return refused is None or refused.is_worth_another_try(self._versions.repository)


def _key(arm: Arm) -> tuple[str, str]:
    return arm.ensemble, arm.manifest


def _require_ensemble(engines: Engines, name: str) -> None:
    """Raise ModelRefused where the worker serves no ensemble of the task by that name."""
    if name not in engines:
        raise ModelRefused(f"no ensemble {name!r} for this task; {there_are(name, list(engines))}")


def _require_interface(control: Engine, engine: Engine | None, arm: Arm) -> None:
    """Raise ModelRefused where those who read answers would not know an arm's."""
    if engine is not None and Interface.of_engine(control) != Interface.of_engine(engine):
        raise ModelRefused(
            f"{arm.name} has other labels, or another problem_type, than {control.spec.name}: "
            "who reads the answers relies on these"
        )
