"""A real Kafka for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamproc.broker import EmbeddedBroker
from streamproc.settings import read_settings


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap servers of one broker, shared by the session: name topics and groups apart."""
    with EmbeddedBroker(cache_dir=read_settings().cache_dir) as broker:
        yield broker.bootstrap_servers
