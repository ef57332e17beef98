"""A worker on a real Kafka whose spans are kept, and programs before and behind it that trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
from aiokafka import AIOKafkaConsumer
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topics import load_topics
from streamproc.settings import Settings, shipped
from streamproc.worker.run import run_worker
from tests.support.recorded_spans import RecordedSpans
from tests.support.topics import Sent, producing, send_all

TASK = "text-classification"
_W3C = TraceContextTextMapPropagator()


def topics_folder(folder: Path, name: str) -> Path:
    """The shipped topics of one task, under names that begin with `name`."""
    topics = shipped("topics")
    for file in topics.glob(f"*.{TASK}.*.yaml"):
        described = file.read_text("utf-8").replace(f"nlp.{TASK}", name)
        (folder / file.name).write_text(described, "utf-8")
    for kept in ("schemas", "examples"):
        (folder / kept).symlink_to(topics / kept)
    return folder


@asynccontextmanager
async def traced_worker(settings: Settings, recorded: RecordedSpans) -> AsyncIterator[None]:
    """A worker in this process, its topics made; it has drained when the block has ended."""
    async with TopicAdmin(settings) as admin:
        await admin.create_missing(load_topics(settings.topics_dir).topics.values())
    stop = asyncio.Event()
    working = asyncio.create_task(run_worker(settings, stop, recorded.tracer))
    try:
        yield
    finally:
        stop.set()
        await working


async def ask_and_read(
    settings: Settings, recorded: RecordedSpans, texts: Sequence[str]
) -> list[dict[str, bytes]]:
    """A producer's request for each text, a trace each, and the headers that a consumer reads.

    Both make a span of their own; the consumer's continues the response's trace.
    """
    (topic, *_) = load_topics(settings.topics_dir).requests(TASK)
    asked = set[int]()
    async with producing(settings.kafka_bootstrap_servers) as producer:

        async def ask(text: str) -> None:
            name, start = f"send {topic.name}", recorded.of_others.start_as_current_span
            with start(name, Context(), SpanKind.PRODUCER) as span:
                asked.add(span.get_span_context().trace_id)
                carrier: dict[str, str] = {}
                _W3C.inject(carrier, set_span_in_context(span, Context()))
                headers = tuple((key, value.encode()) for key, value in carrier.items())
                request = Sent(orjson.dumps({"text": text}), topic.name, headers)
                await send_all(producer, [request])

        await asyncio.gather(*map(ask, texts))
    consumer = AIOKafkaConsumer(
        topic.responses,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        read = []
        async with asyncio.timeout(60):
            async for record in consumer:
                found = dict(record.headers)
                context = _W3C.extract({"traceparent": found["traceparent"].decode()}, Context())
                if get_current_span(context).get_span_context().trace_id not in asked:
                    continue
                name = f"process {topic.responses}"
                recorded.of_others.start_span(name, context, SpanKind.CONSUMER).end()
                read.append(found)
                if len(read) == len(texts):
                    break
        return read
    finally:
        await consumer.stop()
