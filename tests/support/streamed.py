"""What came of a request that asked for parts: the parts in order, and the response behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from streamproc.messages.parts import PART
from streamproc.messages.record import Headers, ProducerRecord
from streamproc.testing import MemoryBroker

REPLIES = "replies.mine"
TO_REPLIES: Headers = (("reply-topic", REPLIES.encode()),)


@dataclass(frozen=True)
class Streamed:
    """parts, response: the values of the records; records: all of them, the response last."""

    parts: list[dict[str, Any]]
    response: dict[str, Any]
    records: list[ProducerRecord]

    @property
    def text(self) -> str:
        """What the parts of the last attempt come to."""
        last = [part for part in self.parts if part["attempt"] == self.parts[-1]["attempt"]]
        assert [part["sequence"] for part in last] == list(range(len(last)))
        return "".join(part["text"] for part in last)


def streamed(broker: MemoryBroker, topic: str = REPLIES) -> Streamed:
    """The records of one request, which must be parts and then a response."""
    records = broker.topics[topic]
    is_part = [number_of(record) is not None for record in records]
    assert is_part == [True] * (len(records) - 1) + [False]
    values = [orjson.loads(record.value or b"") for record in records]
    for record, part in zip(records, values[:-1], strict=False):
        assert number_of(record) == str(part["sequence"]).encode()
    return Streamed(values[:-1], values[-1], records)


def number_of(record: ProducerRecord) -> bytes | None:
    return dict(record.headers).get(PART)


def text_of(response: Mapping[str, Any]) -> str:
    """The text that a response's result has."""
    (text,) = (value for name, value in response["result"].items() if name.endswith("_text"))
    assert isinstance(text, str)
    return text
