"""The topic of experiments: which run, read and followed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from streamproc.clock import Clock
from streamproc.kafka.group_table import GroupFeed, GroupTable, read_table
from streamproc.messages.experiment import Experiment, read_experiment
from streamproc.settings import Settings


def experiment_table(group: str) -> GroupTable[Experiment]:
    """The last that was said of each experiment of a group, of records that are yet to come."""
    return GroupTable(group, read_experiment)


async def read_experiments(settings: Settings, topic: str) -> dict[str, Experiment]:
    """The experiments of the group of the settings, by name.

    Raises OperatorError when no broker answers, TopicsError without the topic.
    """
    return await read_table(settings, topic, experiment_table(settings.group_id))


def experiment_feed(
    settings: Settings,
    topic: str,
    clock: Clock,
    tell: Callable[[Mapping[str, Experiment]], object],
) -> GroupFeed[Experiment]:
    """Follows what runs; tell: is handed all experiments, by name, whenever there is news."""
    return GroupFeed(
        settings,
        topic,
        clock,
        lambda: experiment_table(settings.group_id),
        tell,
        "experiments can't be read",
    )
