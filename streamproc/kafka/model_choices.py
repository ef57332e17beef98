"""The topic of models: which versions are chosen, read and followed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from streamproc.clock import Clock
from streamproc.kafka.group_table import GroupFeed, GroupTable, read_table
from streamproc.messages.model_choice import ModelChoice, read_choice
from streamproc.settings import Settings


def model_choices(group: str) -> GroupTable[ModelChoice]:
    """The last choice for each ensemble of a group, of records that are yet to come."""
    return GroupTable(group, read_choice)


async def read_choices(settings: Settings, topic: str) -> dict[str, ModelChoice]:
    """What is chosen for the group of the settings, by ensemble.

    Raises OperatorError when no broker answers, TopicsError without the topic.
    """
    return await read_table(settings, topic, model_choices(settings.group_id))


def choice_feed(
    settings: Settings,
    topic: str,
    clock: Clock,
    tell: Callable[[Mapping[str, ModelChoice]], object],
) -> GroupFeed[ModelChoice]:
    """Follows what is chosen; tell: is handed all choices, by ensemble, whenever there is news."""
    return GroupFeed(
        settings,
        topic,
        clock,
        lambda: model_choices(settings.group_id),
        tell,
        "promoted versions can't be read",
    )
