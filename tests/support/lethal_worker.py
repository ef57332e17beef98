"""A worker process whose model ends the process on the word "bad": `python -m … BROKERS PLACE`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from tenacity import stop_never

from streamproc.clock import SystemClock
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.producer import Producer
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.lane import Lane
from streamproc.messages.publishing import ReplyRoute
from streamproc.metrics import Metrics
from streamproc.request_pipeline import Pipeline
from streamproc.serving.engine import Engines
from streamproc.serving.inference.batch import Batch
from streamproc.testing import ScriptedSession, build_engine, build_spec, build_tokenizer
from tests.support.kafka_place import Place

BAD = int(next(build_tokenizer().stream("bad")).ids[0])
LETHAL_EXIT = 77


def end_on_bad(batch: Batch) -> None:
    if (batch.ids == BAD).any():
        os._exit(LETHAL_EXIT)


async def main(bootstrap_servers: str, name: str) -> None:
    place, clock = Place(bootstrap_servers, 2, name), SystemClock()
    producer = Producer(place.settings, clock)
    route = ReplyRoute(
        task="text-classification",
        lane=Lane.INTERACTIVE,
        ensemble="tiny",
        responses=place.responses,
        dead_letters=place.bulk,
        reply_topics=frozenset(),
        max_message_bytes=1_048_576,
    )
    engine = build_engine(build_spec(["a"]), [ScriptedSession("a", before=end_on_bad)])
    pipeline = Pipeline(
        route,
        Engines({"tiny": engine}),
        producer.send,
        clock=clock,
        metrics=Metrics(),
        stop_after=stop_never,
    )
    subscription = Subscription(place.requests, Lane.INTERACTIVE, pipeline, refuse=pipeline.refuse)
    worker = KafkaWorker(place.settings, [subscription], clock=clock, producer=producer)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await worker.run(stop)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
