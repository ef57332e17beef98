"""What tests of your own code need.

    ScriptedClient   answers as a worker would, by what the test says
    MemoryBroker     keeps what a pipeline publishes: records in, records out, no Kafka
    build_pipeline   a pipeline of members without model files; build_record, what it is given
    ManualClock      time that moves when the test says

Nothing here is used by a running worker.
"""

from __future__ import annotations

from streamproc.testing.builders import (
    build_context,
    build_engine,
    build_pipeline,
    build_record,
    build_route,
    build_spec,
)
from streamproc.testing.client import ScriptedClient
from streamproc.testing.clock import ManualClock
from streamproc.testing.memory_broker import MemoryBroker
from streamproc.testing.sessions import ScriptedSession
from streamproc.testing.tokenizers import WORDS, build_tokenizer, tokenizer_json

__all__ = [
    "WORDS",
    "ManualClock",
    "MemoryBroker",
    "ScriptedClient",
    "ScriptedSession",
    "build_context",
    "build_engine",
    "build_pipeline",
    "build_record",
    "build_route",
    "build_spec",
    "build_tokenizer",
    "tokenizer_json",
]
