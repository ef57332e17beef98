"""Kafka's jars: the pinned files of Maven Central, fetched at first use."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from streamproc.errors import EmbeddedBrokerError
from streamproc.maven import Pin, Pinned, Progress, pinned_files

KAFKA_VERSION = "4.1.0"
PINS_FILE = Path(__file__).with_name("jars.sha256")
# What all pinned jars weigh together.
TOTAL_BYTES = 44_173_905


def read_pins(file: Path = PINS_FILE) -> tuple[Pin, ...]:
    """The pinned jars, from lines as `sha256sum` writes them."""
    lines = (line.split() for line in file.read_text("utf-8").splitlines())
    return tuple(Pin(PurePosixPath(path), sha256) for sha256, path in lines)


def kafka_jars(
    cache_dir: Path, progress: Progress | None = None, pins: tuple[Pin, ...] | None = None
) -> tuple[Path, ...]:
    """The jars of Kafka's class path, fetched first when they are not there.

    Raises EmbeddedBrokerError when a jar can't be fetched, or is not the pinned file.
    """
    pinned = Pinned(
        what="Kafka's jars",
        pins=read_pins() if pins is None else pins,
        size_bytes=TOTAL_BYTES,
        room_bytes=2 * TOTAL_BYTES,
        extra="broker",
        otherwise="or set STREAMPROC_KAFKA_BOOTSTRAP_SERVERS to use a Kafka of your own",
        error=EmbeddedBrokerError,
    )
    return pinned_files(pinned, cache_dir / f"kafka-{KAFKA_VERSION}", progress)
