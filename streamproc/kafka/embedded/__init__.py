"""The embedded Kafka: a real Apache Kafka of one node, for tests, the demo and a first look."""

from __future__ import annotations

from streamproc.kafka.embedded.embedded import EmbeddedBroker
from streamproc.kafka.embedded.jars import KAFKA_VERSION
from streamproc.maven import Progress, default_cache_dir

__all__ = ["KAFKA_VERSION", "EmbeddedBroker", "Progress", "default_cache_dir"]
