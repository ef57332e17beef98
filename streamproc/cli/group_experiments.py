"""The experiments of a group as its topics have them: read, told, and what workers say of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamproc.cli.promotion import user_name
from streamproc.did_you_mean import there_are
from streamproc.errors import SettingsError, TopicsError
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.messages.experiment import Experiment
    from streamproc.offline.experiments.results import ExperimentResult
    from streamproc.status.participation import Participation


class GroupExperiments:
    """Those of the settings' group."""

    def __init__(self, settings: Settings) -> None:
        """Raises TopicsError."""
        from streamproc.kafka.topics import load_topics

        self._settings = settings
        self._catalogue = load_topics(settings.topics_dir)

    def all(self) -> dict[str, Experiment]:
        """By name, those that have ended among them."""
        return asyncio.run(self._read())

    def named(self, name: str) -> Experiment:
        """Raises SettingsError where there is none, naming those there are."""
        found = self.all()
        if name not in found:
            raise SettingsError(
                f"no experiment {name!r} in the group {self._settings.group_id}; "
                f"{there_are(name, sorted(found))}"
            )
        return found[name]

    def before_start(self, task: str) -> tuple[dict[str, Experiment], dict[str, str]]:
        """The experiments there are, and the versions that were promoted, by ensemble.

        Raises TopicsError where a topic is missing that an experiment needs.
        """
        return asyncio.run(self._read_before_start(task))

    def store(self, experiment: Experiment) -> None:
        """Tell the workers of the group."""
        from streamproc.clock import SystemClock
        from streamproc.kafka.group_table import store_entry

        topic = self._catalogue.only("experiments")
        asyncio.run(store_entry(self._settings, topic, experiment, SystemClock()))

    def result(self, experiment: Experiment) -> ExperimentResult:
        """What it has found until now."""
        from streamproc.offline.experiments.reading import read_observations
        from streamproc.offline.experiments.results import result_of

        topics = (
            self._catalogue.only("exposures"),
            self._catalogue.only("feedback", experiment.task),
        )
        seen = asyncio.run(read_observations(self._settings, experiment, *topics))
        return result_of(experiment, seen)

    def participation(self, experiment: Experiment, wait_s: float = 0.0) -> Participation:
        """What workers say of it, once all of them have, or so many seconds have passed."""
        from streamproc.status.heard import heard
        from streamproc.status.participation import participation

        return asyncio.run(
            heard(
                self._settings,
                lambda states, now_ms: participation(states, experiment, now_ms),
                wait_s,
            )
        )

    def participations(
        self, experiments: Sequence[Experiment]
    ) -> list[tuple[Experiment, Participation]]:
        """Each experiment with what workers say of it now."""
        from streamproc.status.participation import participations

        found = asyncio.run(participations(self._settings, experiments))
        return list(zip(experiments, found, strict=True))

    async def _read(self) -> dict[str, Experiment]:
        from streamproc.kafka.experiments import read_experiments

        return await read_experiments(self._settings, self._catalogue.only("experiments"))

    async def _read_before_start(self, task: str) -> tuple[dict[str, Experiment], dict[str, str]]:
        from streamproc.kafka.model_choices import read_choices
        from streamproc.kafka.topic_admin import TopicAdmin

        needed = [self._catalogue.only("exposures"), self._catalogue.only("feedback", task)]
        found = await self._read()
        async with TopicAdmin(self._settings) as admin:
            for topic in sorted(await admin.missing(needed)):
                raise TopicsError(
                    f"topic {topic} does not exist; `streamproc topics apply` creates it"
                )
        models = self._catalogue.models_topic()
        choices = await read_choices(self._settings, models) if models is not None else {}
        return found, {name: choice.serves.version for name, choice in choices.items()}


def signed(experiment: Experiment) -> Experiment:
    """As it is said now, by whoever gives the command."""
    from streamproc.clock import SystemClock

    return experiment.model_copy(update={"at_ms": SystemClock().now_ms(), "by": user_name()})
