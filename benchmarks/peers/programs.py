"""The peers that are measured: which program, how many processes, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Program:
    """A peer as it is run.

    name:        as it stands in the table
    environment: whose packages it needs, a file of `requirements/peers`
    command:     module and arguments that Python runs in each of its processes
    threads:     of a model call; 0 is what ONNX Runtime does by itself
    """

    name: str
    environment: str
    command: tuple[str, ...]
    processes: int
    threads: int
    spinning: bool
    batch: int = 1


_ARRIVAL: Final = 32

KAFKA_PROGRAMS: Final = (
    Program("Quix, 2 processes", "quix", ("benchmarks.peers.quix",), 2, 1, spinning=False),
    Program("Quix, no spinning", "quix", ("benchmarks.peers.quix",), 1, 2, spinning=False),
    Program("Quix, defaults", "quix", ("benchmarks.peers.quix",), 1, 0, spinning=True),
    Program(
        f"FastStream, by {_ARRIVAL}",
        "faststream",
        ("benchmarks.peers.faststream_batches",),
        2,
        1,
        spinning=False,
        batch=_ARRIVAL,
    ),
    Program(
        f"aiokafka, by {_ARRIVAL}",
        "aiokafka",
        ("benchmarks.peers.aiokafka_batches",),
        2,
        1,
        spinning=False,
        batch=_ARRIVAL,
    ),
    Program(
        "aiokafka, by 1",
        "aiokafka",
        ("benchmarks.peers.aiokafka_batches",),
        2,
        1,
        spinning=False,
    ),
)
"""Each reads its own request topic and publishes to one that all share."""

MLSERVER: Final = Program(
    f"MLServer, by {_ARRIVAL}",
    "mlserver",
    ("mlserver.cli.main", "start", "."),
    1,
    1,
    spinning=False,
    batch=_ARRIVAL,
)
"""It runs models in two processes of its own (`parallel_workers`)."""
