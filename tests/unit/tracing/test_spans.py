"""What a request's way looks like to OpenTelemetry."""

from __future__ import annotations

import asyncio
import threading
from itertools import count
from typing import Any

import numpy as np
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from streamproc.errors import TooLarge
from streamproc.messages.record import Headers, ProducerRecord, Record
from streamproc.request_pipeline import Pipeline
from streamproc.serving.batching.batcher import Batcher
from streamproc.serving.engine import Engine
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.testing import (
    MemoryBroker,
    ScriptedSession,
    build_engine,
    build_pipeline,
    build_record,
    build_spec,
)
from streamproc.tracing.tracer import Handle
from tests.support.decoding_scenes import decoding, model, outcomes, prompt
from tests.support.recorded_spans import UPSTREAM, RecordedSpans, context_of, header_of
from tests.support.route_scenes import Scene

MEMBERS = ("a", "b")


@pytest.fixture
def recorded() -> RecordedSpans:
    return RecordedSpans()


class Worker:
    """A pipeline that is put together as a worker does it."""

    def __init__(
        self,
        recorded: RecordedSpans,
        executor: ModelExecutor,
        broker: MemoryBroker | None = None,
        sessions: list[ScriptedSession] | None = None,
        **engine: Any,
    ) -> None:
        self.broker = broker or MemoryBroker()
        self.engine: Engine = build_engine(
            build_spec(MEMBERS), sessions, executor=executor, tracer=recorded.tracer, **engine
        )
        built = build_pipeline(self.broker, self.engine)
        self.pipeline = Pipeline(
            built.route,
            built._answerer._engines,
            recorded.tracer.publishing(self.broker.publish),
            clock=built._clock,
            metrics=built.metrics,
            stop_after=built._answerer._stop_after,
            tracer=recorded.tracer,
        )
        self.handle: Handle = recorded.tracer.consuming(self.pipeline)

    async def answer(self, text: str = "good film", headers: Headers = (), **fields: Any) -> Record:
        record = build_record({"id": "r", "text": text, **fields}, offset=7, headers=headers)
        await self.handle(record)
        return record

    async def batches_end(self) -> None:
        assert isinstance(self.engine.scorer, Batcher)
        await self.engine.scorer.close()

    def sent_headers(self, topic: str = "responses") -> list[tuple[str, bytes | None]]:
        return list(self.broker.topics[topic][-1].headers)


async def test_a_request_is_one_trace_from_its_producer_through_a_batch_to_its_response(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    worker = Worker(recorded, executor)
    await worker.answer(headers=(("traceparent", UPSTREAM.encode()), ("tracestate", b"v=1")))

    process = recorded.one("process requests")
    assert process.parent is not None
    assert f"{process.parent.trace_id:032x}" in UPSTREAM
    assert f"{process.parent.span_id:016x}" in UPSTREAM
    assert process.kind is SpanKind.CONSUMER
    names = [span.name for span in recorded.children(process)]
    assert names == ["queue tiny", "inference tiny", "send responses"]
    inference, send = recorded.one("inference"), recorded.one("send")
    assert [span.name for span in recorded.children(inference)] == ["batch tiny"]
    members = recorded.children(recorded.one("batch"))
    assert {span.name for span in members} == {"member a", "member b"}
    assert len({context_of(span).trace_id for span in recorded.spans}) == 1
    assert send.kind is SpanKind.PRODUCER
    headers = worker.sent_headers()
    assert [value for name, value in headers if name == "traceparent"] == [header_of(send)]
    assert [value for name, value in headers if name == "tracestate"] == [b"v=1"]
    assert recorded.open == []


async def test_spans_have_the_attributes_that_the_conventions_for_messaging_name(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    record = await Worker(recorded, executor).answer()

    process = dict(recorded.one("process").attributes or {})
    assert process == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "requests",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 7,
        "messaging.consumer.group.name": "group",
        "messaging.message.body.size": len(record.value or b""),
        "streamproc.status": "ok",
    }
    send = dict(recorded.one("send").attributes or {})
    assert send["messaging.operation.type"] == "send"
    assert send["messaging.destination.name"] == "responses"
    batch = dict(recorded.one("batch").attributes or {})
    assert batch["streamproc.ensemble"] == "tiny"
    assert batch["streamproc.batch.chunks"] == 1
    assert batch["streamproc.batch.tokens"] == batch["streamproc.batch.padded_tokens"]


async def test_a_request_without_a_trace_begins_one_and_its_response_names_it(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    worker = Worker(recorded, executor)
    await worker.answer(headers=(("traceparent", b"nothing of the kind"),))

    assert recorded.one("process").parent is None
    found = [value for name, value in worker.sent_headers() if name == "traceparent"]
    assert found == [header_of(recorded.one("send"))]


async def test_a_binary_event_s_extension_is_continued_and_says_what_the_headers_say(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    worker = Worker(recorded, executor)
    attributes = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
    event = (*((f"ce_{name}", value.encode()) for name, value in attributes.items()),)
    await worker.answer(headers=(*event, ("ce_traceparent", UPSTREAM.encode())))

    parent = recorded.one("process").parent
    assert parent is not None
    assert f"{parent.span_id:016x}" in UPSTREAM
    named = header_of(recorded.one("send"))
    traces = {name: value for name, value in worker.sent_headers() if "traceparent" in name}
    assert traces == {"traceparent": named, "ce_traceparent": named}


async def test_the_header_counts_where_an_event_s_extension_says_something_else(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    other = UPSTREAM.replace("b7ad6b7169203331", "0000000000000001")
    event = (("ce_traceparent", other.encode()), ("traceparent", UPSTREAM.encode()))
    await Worker(recorded, executor).answer(headers=event)

    parent = recorded.one("process").parent
    assert parent is not None
    assert f"{parent.span_id:016x}" in UPSTREAM


async def test_nothing_is_recorded_of_a_trace_that_is_not_and_headers_stay_as_they_are(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    worker = Worker(recorded, executor)
    unsampled = f"{UPSTREAM[:-2]}00".encode()
    await worker.answer(headers=(("traceparent", unsampled),))

    assert recorded.spans == ()
    assert [v for name, v in worker.sent_headers() if name == "traceparent"] == [unsampled]


async def test_a_batch_links_to_the_requests_whose_chunks_are_in_it(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    gate, batches = threading.Event(), list[list[int]]()

    def seen(batch: Batch) -> None:
        batches.append(sorted(int(length) for length in batch.lengths))
        assert gate.wait(20)

    sessions = [ScriptedSession("a", before=seen), ScriptedSession("b")]
    worker = Worker(recorded, executor, sessions=sessions, budget_tokens=40)
    # Each text has a length of its own, so that a batch's lengths tell whose chunks it had.
    texts = {number: " ".join(["film"] * number) for number in range(1, 10)}

    async def ask(number: int) -> None:
        record = build_record({"id": str(number), "text": texts[number]}, offset=number)
        await worker.handle(record)

    asked = [asyncio.create_task(ask(number)) for number in texts]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*asked)

    special = 2  # tokens that frame a text
    requests = {
        context_of(span).span_id: int((span.attributes or {})["messaging.kafka.offset"])  # type: ignore[arg-type]
        for span in recorded.named("process")
    }
    linked = [
        sorted(requests[link.context.span_id] + special for link in span.links)
        for span in recorded.named("batch")
    ]
    assert sorted(linked) == sorted(batches)
    assert len(batches) < len(texts)
    # And back: each request's inference is the parent of its batch, or links to it.
    for batch in recorded.named("batch"):
        for link in batch.links:
            (inference,) = (
                span
                for span in recorded.named("inference")
                if span.parent is not None and span.parent.span_id == link.context.span_id
            )
            to = [one.context.span_id for one in inference.links]
            is_parent = batch.parent is not None and (
                batch.parent.span_id == context_of(inference).span_id
            )
            assert is_parent or to == [context_of(batch).span_id]


async def test_a_document_of_many_chunks_is_linked_once_a_batch(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    worker = Worker(recorded, executor, budget_tokens=64)
    await worker.answer(text=" ".join(["film"] * 100))

    chunks, batches = recorded.named("inference"), recorded.named("batch")
    assert len(chunks) > len(batches) > 1
    for batch in batches:
        assert [link.context for link in batch.links] == [context_of(recorded.one("process"))]
    in_batches = [(span.attributes or {})["streamproc.batch.chunks"] for span in batches]
    assert sum(number for number in in_batches if isinstance(number, int)) == len(chunks)


async def test_no_span_of_a_batch_is_another_request_s_who_is_not_recorded(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    """Whoever wakes the batcher hands on no context."""
    worker = Worker(recorded, executor)
    unsampled = (("traceparent", f"{UPSTREAM[:-2]}00".encode()),)
    sampled = (("traceparent", UPSTREAM.encode()),)
    await asyncio.gather(worker.answer(headers=sampled), worker.answer(headers=unsampled))

    (batch,) = recorded.named("batch")
    assert [link.context for link in batch.links] == [context_of(recorded.one("process"))]
    assert (batch.attributes or {})["streamproc.batch.chunks"] == 2
    await worker.answer(headers=unsampled)
    assert len(recorded.named("batch")) == len(recorded.named("process")) == 1


QUOTED = "geheimnis"


async def test_no_span_holds_what_a_user_sent(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    calls = count()

    def fail(_: Batch) -> None:
        if next(calls) == 1:
            raise ValueError(QUOTED)

    sessions = [ScriptedSession("a"), ScriptedSession("b", before=fail)]
    worker = Worker(recorded, executor, sessions=sessions)
    await worker.answer(text=QUOTED, metadata={QUOTED: QUOTED})
    await worker.answer(text=QUOTED)
    await worker.answer(text=QUOTED, params={"aggregation": QUOTED})
    await worker.handle(build_record(QUOTED.encode(), key=QUOTED.encode()))
    good = Worker(recorded, executor)
    await good.answer(text=QUOTED, id=QUOTED, headers=(("correlation-id", QUOTED.encode()),))

    assert not recorded.named("member b")[1].status.is_unset
    assert len(recorded.spans) > 20
    for span in recorded.spans:
        assert QUOTED not in span.to_json()


async def test_an_error_marks_the_request_s_span_with_the_type_of_the_problem(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    worker = Worker(recorded, executor)
    await worker.answer(params={"aggregation": "no such"})

    process = recorded.one("process")
    assert process.status.status_code is StatusCode.ERROR
    assert process.status.description is None
    assert (process.attributes or {})["error.type"] == "invalid"
    assert (process.attributes or {})["streamproc.status"] == "error"


async def test_a_dead_letter_keeps_the_headers_of_its_request(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    worker = Worker(recorded, executor)
    await worker.answer(headers=(("traceparent", UPSTREAM.encode()),), params={"x": 1})

    assert {span.name for span in recorded.named("send")} == {"send dlq", "send responses"}
    assert ("traceparent", UPSTREAM.encode()) in worker.sent_headers("dlq")


async def test_a_member_that_fails_is_marked_and_the_others_are_not(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    def fail(batch: Batch) -> None:
        if 5 in np.asarray(batch.lengths):
            raise ValueError("not this one")

    sessions = [ScriptedSession("a"), ScriptedSession("b", before=fail)]
    worker = Worker(recorded, executor, sessions=sessions)
    await worker.answer(text="film")
    await worker.answer(text="film film film")

    marked = [span.name for span in recorded.named("member") if not span.status.is_unset]
    assert marked == ["member b"]
    (failed,) = (span for span in recorded.named("member") if not span.status.is_unset)
    assert (failed.attributes or {})["error.type"] == "MemberFailed"
    assert (failed.attributes or {})["streamproc.member.failed_items"] == 1


async def test_spans_of_a_request_end_at_its_deadline_whatever_the_models_do(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    gate = threading.Event()

    def wait(_: Batch) -> None:
        assert gate.wait(20)

    sessions = [ScriptedSession(name, before=wait) for name in MEMBERS]
    worker = Worker(recorded, executor, sessions=sessions)
    now_ms = worker.pipeline._clock.now_ms()
    record = build_record({"id": "r", "text": "film", "deadline_ms": 50}, timestamp_ms=now_ms)
    await worker.handle(record)

    assert (recorded.one("process").attributes or {})["error.type"] == "deadline"
    assert not [name for name in recorded.open if not name.startswith(("batch", "member"))]
    gate.set()
    await worker.batches_end()
    assert recorded.open == []


async def test_a_response_that_is_refused_is_marked_and_sent_again(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    def refuse(record: ProducerRecord) -> None:
        if not record.is_last_resort:
            raise TooLarge("record too large", "too many bytes")

    worker = Worker(recorded, executor, MemoryBroker(refuse))
    await worker.answer()

    first, second = recorded.named("send responses")
    assert (first.attributes or {})["error.type"] == "TooLarge"
    assert second.status.is_unset


async def test_the_latency_of_a_recorded_request_leads_to_its_trace(
    recorded: RecordedSpans, executor: ModelExecutor
) -> None:
    worker = Worker(recorded, executor)
    await worker.answer()
    process = context_of(recorded.one("process"))

    samples = [one for family in worker.pipeline.metrics.request_seconds.collect()
               for one in family.samples if one.exemplar is not None]  # fmt: skip
    assert [one.exemplar.labels for one in samples if one.exemplar] == [
        {"trace_id": f"{process.trace_id:032x}", "span_id": f"{process.span_id:016x}"}
    ]


async def test_decoding_has_a_span_for_waiting_and_one_for_writing_and_none_for_steps(
    recorded: RecordedSpans,
) -> None:
    traces = recorded.tracer.ensemble("tiny")
    async with decoding(model("a"), model("b"), traces=traces) as loop:

        async def ask(record: Record) -> None:
            await outcomes(loop, prompt(3, 4, members=2, new=6))

        handle = recorded.tracer.consuming(ask)
        await asyncio.gather(*(handle(build_record(b"", offset=n)) for n in range(3)))

    assert len(recorded.named("process")) == 3
    for process in recorded.named("process"):
        queue, inference = recorded.children(process)
        assert (queue.name, inference.name) == ("queue tiny", "inference tiny")
        assert [event.name for event in inference.events] == ["first token"]
        read = [span.name for span in recorded.children(inference)]
        assert sorted(read) == ["member a", "member b"]
    assert len(recorded.spans) == 3 * 5
    assert recorded.open == []


async def test_an_event_of_a_route_goes_on_in_its_trace(recorded: RecordedSpans) -> None:
    scene = Scene(
        {"name": "mood", "task": "text-classification", "ensemble": "s", "text": "/t", "to": "/m"}
    )
    scene.enricher._tracer = recorded.tracer
    scene.enricher._publish = recorded.tracer.publishing(scene.enricher._publish)
    handle = recorded.tracer.consuming(scene.enricher)
    headers = (("traceparent", UPSTREAM.encode()), ("x", b"1"))
    await handle(Record("in", 0, 1, 0, None, b'{"t": "good"}', headers))
    await handle(Record("in", 0, 2, 0, None, b"not JSON", headers))

    enriched, dead = scene.published
    assert ("traceparent", header_of(recorded.one("send out"))) in enriched.headers
    assert ("x", b"1") in enriched.headers
    assert ("traceparent", UPSTREAM.encode()) in dead.headers
    states = [(span.attributes or {})["streamproc.status"] for span in recorded.named("process")]
    assert states == ["enriched", "dead-letter"]


async def test_a_sampler_that_keeps_nothing_costs_no_span(executor: ModelExecutor) -> None:
    recorded = RecordedSpans(ALWAYS_OFF)
    worker = Worker(recorded, executor)
    await worker.answer()
    assert recorded.spans == ()
    assert not [name for name, _ in worker.sent_headers() if name == "traceparent"]
