"""A real Kafka for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.settings import read_settings


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """One broker, shared by the session: name topics and groups apart, and leave it running."""
    with EmbeddedBroker(cache_dir=read_settings().cache_dir) as running:
        yield running


@pytest.fixture(scope="session")
def kafka(broker: EmbeddedBroker) -> str:
    """Its bootstrap servers."""
    return broker.bootstrap_servers
