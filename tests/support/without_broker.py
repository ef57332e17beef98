"""aiokafka's own clients, with metadata that a test writes down; no broker is there."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.metadata import MetadataResponse_v1

NOT_ALLOWED = 29


def without_broker(monkeypatch: pytest.MonkeyPatch, known: Mapping[str, Collection[str]]) -> None:
    """known: the `topics` that there are, and those that are `unauthorized`; it may be changed"""

    def metadata() -> MetadataResponse_v1:
        topics = [(0, name, False, [(0, 0, 0, [0], [0])]) for name in known.get("topics", ())]
        topics += [(NOT_ALLOWED, name, False, []) for name in known.get("unauthorized", ())]
        return MetadataResponse_v1([(0, "127.0.0.1", 1, None)], 0, topics)

    async def bootstrap(self: Any) -> None:
        self.cluster.update_metadata(metadata())
        if self._sync_task is None:
            self._sync_task = asyncio.create_task(self._md_synchronizer())

    async def update(_self: Any, cluster: Any, _topics: Any) -> bool:
        await asyncio.sleep(0.01)
        cluster.update_metadata(metadata())
        return True

    monkeypatch.setattr(AIOKafkaClient, "bootstrap", bootstrap)
    monkeypatch.setattr(AIOKafkaClient, "_metadata_update", update)
