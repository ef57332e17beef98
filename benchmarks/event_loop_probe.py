"""One process that is measured: what a request costs its event loop's thread.

Run as a file by `benchmarks/event_loop.py`, so that the package that it measures may be that of
another checkout; it uses nothing of this one.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

import numpy as np
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from tenacity import stop_never

from streamproc.clock import SystemClock
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.outbox import Outbox
from streamproc.kafka.producer import Producer
from streamproc.kafka.topics import load_topics
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.lane import Lane
from streamproc.messages.publishing import Publish
from streamproc.messages.record import ProducerRecord, Record
from streamproc.metrics import Metrics
from streamproc.repository.repository import Repository
from streamproc.request_pipeline import Pipeline
from streamproc.serving.assembly import assemble_engine
from streamproc.serving.batching.batcher import Limits
from streamproc.serving.context import EngineContext
from streamproc.serving.engine import Engines
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.members import Members
from streamproc.serving.loading import load_spec
from streamproc.serving.tasks.catalogue import scoring_task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec, MemberSpec
from streamproc.serving.tasks.task import ScoringTask
from streamproc.settings import Settings, read_settings
from streamproc.types import FloatArray
from streamproc.worker.routes import build_route

try:
    from streamproc.worker.garbage import bounded_collections
except ImportError:  # an earlier checkout

    @contextmanager
    def bounded_collections() -> Iterator[None]:
        gc.collect()
        gc.freeze()
        yield


ECHO_TOPIC: Final = "benchmarks.echo"
WARM_UP: Final = 500
POLL: Final = 16
MOST_IN_FLIGHT: Final = 1024
SAMPLE_S: Final = 0.001
CONTROL_STEPS: Final = 100_000

# The first that fits the innermost frame it can counts; what is none of them is its caller's.
CAUSES: Final = (
    ("selectors.py", "idle"),
    ("streamproc/serving/chunking/", "tokenize, cut"),
    ("streamproc/messages/outgoing", "answer as a record"),
    ("streamproc/messages/publishing", "answer as a record"),
    ("streamproc/messages/", "decode, validate"),
    ("pydantic/", "decode, validate"),
    ("streamproc/serving/batching/", "batcher"),
    ("streamproc/serving/inference/", "members' calls"),
    ("streamproc/serving/member_", "members' calls"),
    ("streamproc/serving/guarded_calls", "members' calls"),
    ("streamproc/serving/tasks/", "combine, stitch"),
    ("streamproc/serving/ensembling/", "combine, stitch"),
    ("streamproc/request_pipeline", "pipeline"),
    ("streamproc/serving/", "pipeline"),
    ("streamproc/kafka/producer", "producer"),
    ("streamproc/kafka/outbox", "producer"),
    ("aiokafka/producer/", "producer"),
    ("aiokafka/record/", "producer"),
    ("aiokafka/partitioner", "producer"),
    ("aiokafka/", "rest of aiokafka"),
    ("streamproc/kafka/", "dispatch, offsets"),
    ("faust/", "Faust"),
    ("mode/", "Faust"),
    ("prometheus_client/", "metrics"),
    ("asyncio/", "asyncio"),
)


class NullSession:
    """A member that gives every sequence the same scores, at once."""

    def __init__(self, name: str, outputs: int) -> None:
        self.name = name
        self._scores = np.linspace(-1.0, 1.0, outputs)

    def run(self, batch: Batch, call: object) -> Sequence[FloatArray]:
        return list(np.tile(self._scores, (len(batch.ids), 1)))


class NullTokenSession:
    """The same of every token: one in ten is something else than the first of the outputs."""

    def __init__(self, name: str, outputs: int, vocabulary_size: int) -> None:
        self.name = name
        numbers = np.random.default_rng(1)
        self._scores = numbers.normal(size=(vocabulary_size, outputs))
        self._scores[numbers.random(vocabulary_size) < 0.9, 0] += 10

    def run(self, batch: Batch, call: object) -> Sequence[FloatArray]:
        scores = self._scores[batch.ids]
        return [row[:length] for row, length in zip(scores, batch.lengths, strict=True)]


@dataclass(slots=True)
class Usage:
    """What was used from `begin` to `end`; all in seconds of the loop's thread but for `process_s`.

    profile: of CPU time by cause, in samples
    """

    requests: int = 0
    wall_s: float = 0.0
    loop_s: float = 0.0
    process_s: float = 0.0
    longest_collection_s: float = 0.0
    profile: Counter[str] = field(default_factory=Counter)

    def begin(self) -> None:
        self.longest_collection_s = 0.0
        self.profile.clear()
        self.wall_s = -time.perf_counter()
        self.loop_s = -time.thread_time()
        self.process_s = -time.process_time()

    def end(self, requests: int) -> None:
        self.requests = requests
        self.wall_s += time.perf_counter()
        self.loop_s += time.thread_time()
        self.process_s += time.process_time()

    def to_json(self, control_s: float) -> bytes:
        shown = {name: getattr(self, name) for name in self.__slots__}
        return orjson.dumps({**shown, "control_s": control_s, "profile": dict(self.profile)})


class Sampler:
    """Where the main thread is, every millisecond of the process's CPU time.

    Samples of other threads' CPU time find it idle, or at what it does beside them; shares are of
    what is not idle.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts

    @contextmanager
    def running(self) -> Iterator[None]:
        signal.signal(signal.SIGPROF, self._take)
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _take(self, _: int, frame: FrameType | None) -> None:
        while frame is not None:
            name = frame.f_code.co_filename
            for part, cause in CAUSES:
                if part in name:
                    self._counts[cause] += 1
                    return
            frame = frame.f_back
        self._counts["other"] += 1


async def control() -> float:
    """Seconds of this thread for a fixed number of turns of the loop: how fast the machine is."""
    loop = asyncio.get_running_loop()

    async def step() -> None:
        future: asyncio.Future[None] = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future

    began_s = time.thread_time()
    for _ in range(CONTROL_STEPS // 100):
        await asyncio.gather(*(step() for _ in range(100)))
    return time.thread_time() - began_s


def build_pipeline(settings: Settings, publish: Publish, asked: argparse.Namespace) -> Pipeline:
    """A worker's pipeline of the shipped ensemble, its members replaced by such as cost nothing."""
    task, metrics, clock = scoring_task_named(asked.task), Metrics(), SystemClock()
    budget_tokens = asked.budget_tokens
    topic = load_topics(settings.topics_dir).request_topic(asked.task, Lane.INTERACTIVE)
    spec = load_spec(Repository(settings.models_dir).open(topic.ensemble), task)
    sessions = [_null_session(task, spec, one) for one in spec.members]
    limits = Limits(budget_tokens, slots=2, max_wait_ms=0, max_queued_tokens=131_072)
    context = EngineContext(ModelExecutor(2), limits, 30.0, 8, clock, metrics)
    return Pipeline(
        build_route(topic, settings),
        Engines({spec.name: assemble_engine(task, spec, Members(sessions), context)}),
        publish,
        clock=clock,
        metrics=metrics,
        stop_after=stop_never,
    )


def _null_session(
    task: ScoringTask, spec: EnsembleSpec, member: MemberSpec
) -> NullSession | NullTokenSession:
    signature = task.signature(member.labels.outputs)
    if not signature.per_token:
        return NullSession(member.name, member.labels.outputs)
    outputs = signature.labels or len(signature.outputs)
    return NullTokenSession(member.name, outputs, spec.tokenizer.vocabulary_size)


async def in_process(asked: argparse.Namespace, used: Usage, sampler: Sampler) -> None:
    """The pipeline alone: records as they would come by polls, answers taken at once."""

    async def publish(_: ProducerRecord) -> None:
        await asyncio.sleep(0)

    pipeline = build_pipeline(read_settings(), publish, asked)
    records = [
        Record("requests", place % 12, place, round(time.time() * 1000), None, value.encode(), ())
        for place, value in enumerate(_values(asked))
    ]
    await _handle_all(pipeline, records[:WARM_UP])
    with bounded_collections(), sampler.running() if asked.profile else nullcontext():
        used.begin()
        await _handle_all(pipeline, records)
        used.end(len(records))


def _values(asked: argparse.Namespace) -> list[str]:
    values: list[str] = orjson.loads(Path(asked.values).read_bytes())
    return values


async def _handle_all(
    handle: Callable[[Record], Awaitable[None]], records: Sequence[Record]
) -> None:
    running, has_room = 0, asyncio.Event()

    def end(_: asyncio.Task[None]) -> None:
        nonlocal running
        running -= 1
        if running <= MOST_IN_FLIGHT:
            has_room.set()

    tasks = []
    for place in range(0, len(records), POLL):
        for record in records[place : place + POLL]:
            task = asyncio.get_running_loop().create_task(_awaited(handle(record)))
            task.add_done_callback(end)
            tasks.append(task)
            running += 1
        await asyncio.sleep(0)
        if running > MOST_IN_FLIGHT:
            has_room.clear()
            await has_room.wait()
    await asyncio.wait(tasks)


async def _awaited(handled: Awaitable[None]) -> None:
    await handled


async def through_kafka(asked: argparse.Namespace, used: Usage, sampler: Sampler) -> None:
    """A worker's way from Kafka and back to it; `echo`: with nothing between."""
    settings = read_settings(
        kafka_bootstrap_servers=asked.servers, group_id=asked.group, delivery=asked.delivery
    )
    clock, stop = SystemClock(), asyncio.Event()
    producer = Producer(settings, clock)
    outbox = Outbox(producer, clock) if asked.delivery == "exactly_once" else None
    publish: Publish = producer.send if outbox is None else outbox.send
    topic = load_topics(settings.topics_dir).request_topic(asked.task, Lane.INTERACTIVE)

    async def echo(record: Record) -> None:
        await publish(ProducerRecord(ECHO_TOPIC, record.key, record.value))

    handler: Any = echo
    if asked.way == "worker":
        handler = build_pipeline(settings, publish, asked)
    done = 0

    async def counted(record: Record) -> None:
        nonlocal done
        await handler(record)
        done += 1
        if done == WARM_UP:
            used.begin()
        if done == asked.requests:
            used.end(done - WARM_UP)
            stop.set()

    subscription = Subscription(topic.name, topic.lane, counted)
    worker = KafkaWorker(settings, [subscription], clock=clock, producer=producer, outbox=outbox)
    with bounded_collections(), sampler.running() if asked.profile else nullcontext():
        await worker.run(stop)


async def raw(asked: argparse.Namespace, used: Usage, sampler: Sampler) -> None:
    """aiokafka alone: what a poll brings is sent on, and stored before the next is asked for."""
    topics = load_topics(read_settings().topics_dir)
    consumer = AIOKafkaConsumer(
        topics.request_topic(asked.task, Lane.INTERACTIVE).name,
        bootstrap_servers=asked.servers,
        group_id=asked.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=asked.servers, acks="all", enable_idempotence=True, linger_ms=5
    )
    async with consumer, producer:
        done = 0
        while done < asked.requests:
            polled = await consumer.getmany(timeout_ms=1000, max_records=1000)
            if not done and polled:
                used.begin()
            sent = [
                await producer.send(ECHO_TOPIC, record.value, key=record.key)
                for records in polled.values()
                for record in records
            ]
            if sent:
                await asyncio.wait(sent)
            done += len(sent)
        used.end(done)


WAYS: Final = {"pipeline": in_process, "worker": through_kafka, "echo": through_kafka, "raw": raw}


async def measure(asked: argparse.Namespace) -> bytes:
    used = Usage()
    pause_s = 0.0

    def watch(phase: str, _: dict[str, int]) -> None:
        nonlocal pause_s
        if phase == "start":
            pause_s = -time.thread_time()
        else:
            longest_s = pause_s + time.thread_time()
            used.longest_collection_s = max(used.longest_collection_s, longest_s)

    control_s = await control()
    gc.callbacks.append(watch)
    await WAYS[asked.way](asked, used, Sampler(used.profile))
    return used.to_json(control_s)


def main() -> None:
    """Measure as the flags say, and print JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("way", choices=WAYS)
    options.add_argument("--values", help="JSON: the values of the records, for `pipeline`")
    options.add_argument("--task")
    options.add_argument("--servers")
    options.add_argument("--group")
    options.add_argument("--delivery", default="at_least_once")
    options.add_argument("--requests", type=int)
    options.add_argument("--budget-tokens", type=int, default=16_384)
    options.add_argument("--profile", action="store_true")
    # As `streamproc worker` does.
    sys.stdout.buffer.write(uvloop.run(measure(options.parse_args())) + b"\n")


if __name__ == "__main__":
    main()
