"""What Kafka holds of an experiment: its exposures, and the truth of its task since it began."""

from __future__ import annotations

from contextlib import aclosing
from typing import Final

from streamproc.kafka.topic_reader import read_topic, starts_at
from streamproc.messages.experiment import Experiment
from streamproc.messages.exposure import read_exposure
from streamproc.messages.feedback import read_feedback
from streamproc.offline.experiments.observations import (
    ExposureTable,
    Observations,
    TimedFeedback,
)
from streamproc.settings import Settings

EARLIER_MS: Final = 3_600_000
"""Before the start: clocks differ, and reading more is harmless."""


async def read_observations(
    settings: Settings, experiment: Experiment, exposures: str, feedback: str
) -> Observations:
    """All that is there now; exposures, feedback: names of topics.

    Raises OperatorError when no broker answers, TopicsError without a topic.
    """
    since_ms = experiment.started_ms - EARLIER_MS
    table = ExposureTable(experiment)
    start = await starts_at(settings, exposures, since_ms)
    async with aclosing(read_topic(settings, exposures, start)) as records:
        async for record in records:
            exposure = read_exposure(record.value)
            if exposure is not None:
                table.take(exposure)
    last: dict[str, TimedFeedback] = {}
    unreadable = 0
    start = await starts_at(settings, feedback, since_ms)
    async with aclosing(read_topic(settings, feedback, start)) as records:
        async for record in records:
            found = read_feedback(record.value)
            if found is None:
                unreadable += 1
                continue
            # Of one id on several topic-partitions, time says which came later.
            said = TimedFeedback(
                (record.timestamp_ms, record.topic_partition, record.offset), found
            )
            before = last.get(found.id)
            if before is None or before.order < said.order:
                last[found.id] = said
    return table.observations(last, unreadable)
