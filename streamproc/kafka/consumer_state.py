"""What Faust's consumer, in a thread of its own, tells the worker: each attribute is set whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from streamproc.messages.record import TopicPartition


class ReadingProgress(NamedTuple):
    """How far a topic-partition has been read in the assignment in force.

    begun_at:    the committed offset, or 0 where there was none
    last_handed: the offset of the last record handed out; -1: none was
    position:    the offset to be read next; beyond the last record where what follows it is
                 of aborted transactions, or marks the end of one
    """

    begun_at: int
    last_handed: int
    position: int


@dataclass(slots=True)
class ConsumerState:
    """Written by the consumer's thread, read by the worker's.

    refusal:  why the group does not take the consumer in; None: it does
    final:    the refusal can't end unless somebody changes a setting
    progress: of the topic-partitions assigned, a little behind what has been handed out
    remade: topic-partitions assigned whose log is another now, which nothing is to be committed of
    topic_ids: of the topics that are read, as they were when their reading began
    """

    refusal: str | None = None
    final: bool = False
    progress: Mapping[TopicPartition, ReadingProgress] = field(default_factory=dict)
    remade: frozenset[TopicPartition] = frozenset()
    topic_ids: Mapping[str, str] = field(default_factory=dict)
