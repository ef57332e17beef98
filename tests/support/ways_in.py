"""Every task over Kafka and over HTTP, by a worker whose small models answer at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.settings import Settings, read_settings
from tests.support.cluster import apply_topics
from tests.support.gateway_process import GatewayProcess
from tests.support.small_ensembles import SMALL, write_small_ensembles
from tests.support.worker_process import WorkerProcess

STARTS_WITHIN_S = 180
"""On a machine that has much else to do."""


@dataclass(frozen=True, slots=True)
class WaysIn:
    """A Kafka, a worker with a small ensemble for each task, and a gateway in front.

    models:  the folder of ensembles, which have the names that topics name
    address: of the gateway, http://host:port
    """

    kafka: str
    models: Path
    worker: WorkerProcess
    gateway: GatewayProcess
    address: str

    @property
    def settings(self) -> Settings:
        """Of a client that asks the same worker over Kafka."""
        return Settings(kafka_bootstrap_servers=self.kafka, models_dir=self.models)


@contextmanager
def ways_into(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[WaysIn]:
    """All of it, ready, and ended afterwards.

    settings: of the gateway, by name without prefix
    """
    models = folder / "models"
    write_small_ensembles(models, tuple(SMALL))
    with EmbeddedBroker(cache_dir=read_settings().cache_dir) as broker:
        kafka = broker.bootstrap_servers
        apply_topics(kafka)
        worker = WorkerProcess(
            kafka, "ways-in", folder / "worker.log", {"MODELS_DIR": str(models), "THREADS": "1"}
        )
        gateway = GatewayProcess(
            kafka, folder / "gateway.log", {"MODELS_DIR": str(models), **(settings or {})}
        )
        try:
            worker.start()
            gateway.start()
            asyncio.run(worker.wait_until_ready(STARTS_WITHIN_S))
            yield WaysIn(kafka, models, worker, gateway, gateway.wait_until_ready(STARTS_WITHIN_S))
        finally:
            gateway.stop()
            worker.stop()
