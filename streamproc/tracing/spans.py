"""Spans by OpenTelemetry's API, which needs its SDK only where spans are kept.

Names and attributes are those of OpenTelemetry's semantic conventions for messaging 1.38, and
`streamproc.*` where these have none. None holds a text, a key, or the message of an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Self

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    set_span_in_context,
    use_span,
)

from streamproc.messages.record import ProducerRecord, Record
from streamproc.tracing.propagation import upstream_context, with_context
from streamproc.tracing.tracer import (
    ChunkSpans,
    EnsembleTracer,
    Handle,
    MemberSpan,
    Publish,
    Tracer,
)

_NOT_TRACED: Final = ChunkSpans()
_NO_MEMBER: Final = MemberSpan()


class OpenTelemetryTracer(Tracer):
    """Makes spans; group_id: the consumer group."""

    def __init__(self, tracer: trace.Tracer, group_id: str) -> None:
        self._tracer = tracer
        self._group_id = group_id

    def consuming(self, handle: Handle) -> Handle:
        async def traced(record: Record) -> None:
            span = self._tracer.start_span(
                f"process {record.topic}",
                upstream_context(record),
                SpanKind.CONSUMER,
                {
                    **_messaging("process", record.topic, record.value),
                    "messaging.destination.partition.id": str(record.topic_partition),
                    "messaging.kafka.offset": record.offset,
                    "messaging.consumer.group.name": self._group_id,
                },
            )
            with _current(span):
                await handle(record)

        return traced

    def publishing(self, publish: Publish) -> Publish:
        async def traced(record: ProducerRecord) -> None:
            if not trace.get_current_span().is_recording():
                await publish(record)
                return
            attributes = _messaging("send", record.topic, record.value)
            span = self._tracer.start_span(
                f"send {record.topic}", kind=SpanKind.PRODUCER, attributes=attributes
            )
            with _current(span):
                await publish(with_context(record, span) if record.continues_trace else record)

        return traced

    def outcome(self, status: str, error: str | None = None) -> None:
        span = trace.get_current_span()
        span.set_attribute("streamproc.status", status)
        if error is not None:
            _mark_failed(span, error)

    def exemplar(self) -> dict[str, str] | None:
        context = trace.get_current_span().get_span_context()
        if not context.trace_flags.sampled:
            return None
        return {
            "trace_id": trace.format_trace_id(context.trace_id),
            "span_id": trace.format_span_id(context.span_id),
        }

    def ensemble(self, name: str) -> EnsembleTracer:
        return _EnsembleTracer(self._tracer, name)


class _EnsembleTracer(EnsembleTracer):
    def __init__(self, tracer: trace.Tracer, name: str) -> None:
        self._tracer = tracer
        self._name = name
        self._attributes = {"streamproc.ensemble": name}

    def chunk(self) -> ChunkSpans:
        request = trace.get_current_span()
        return _ChunkSpans(self, request) if request.is_recording() else _NOT_TRACED

    @contextmanager
    def batch(self, chunks: Sequence[ChunkSpans], lengths: Sequence[int]) -> Iterator[None]:
        traced = [one for one in chunks if isinstance(one, _ChunkSpans) and not one.is_gone]
        if not traced:
            yield
            return
        for chunk in traced:
            chunk.taken()
        contexts = [chunk.request.get_span_context() for chunk in traced]
        requests = {(one.trace_id, one.span_id): one for one in contexts}
        # A child of one of its requests, and not a trace of its own: so it is recorded whenever one
        # of them is, whatever share of traces the sampler keeps.
        batch = self.start(
            "batch",
            traced[0].doing,
            {
                "streamproc.batch.chunks": len(lengths),
                "streamproc.batch.tokens": sum(lengths),
                "streamproc.batch.padded_tokens": len(lengths) * max(lengths),
            },
            links=[Link(request) for request in requests.values()],
        )
        for chunk in traced[1:]:
            chunk.doing.add_link(batch.get_span_context())
        try:
            with _current(batch):
                yield
        finally:
            for chunk in traced:
                chunk.close()

    def member(self, name: str, items: int) -> MemberSpan:
        parent = trace.get_current_span()
        if not parent.is_recording():
            return _NO_MEMBER
        attributes: dict[str, str | int] = {
            "streamproc.member": name,
            "streamproc.member.items": items,
        }
        return _MemberSpan(self.start("member", parent, attributes))

    def start(
        self,
        stage: str,
        parent: Span,
        attributes: Mapping[str, str | int] | None = None,
        links: Sequence[Link] = (),
    ) -> Span:
        """A span of a stage, named for the ensemble or the member."""
        of = {**self._attributes, **(attributes or {})}
        name = f"{stage} {of.get('streamproc.member', self._name)}"
        context = set_span_in_context(parent, Context())
        return self._tracer.start_span(name, context, attributes=of, links=links)


class _ChunkSpans(ChunkSpans):
    """First `queue`, then `inference`; what has gone wrong meanwhile is told by the request.

    doing: what is going on with the chunk
    is_gone: nobody waits for it any more
    """

    def __init__(self, tracer: _EnsembleTracer, request: Span) -> None:
        self.request = request
        self._tracer = tracer
        self._is_closed = False
        self.is_gone = False
        self.doing = tracer.start("queue", request)

    def __exit__(self, *_: object) -> None:
        self.is_gone = True
        self.close()

    def taken(self) -> None:
        self.close()
        self.doing = self._tracer.start("inference", self.request)
        self._is_closed = False

    def current(self) -> AbstractContextManager[object]:
        return use_span(self.doing, record_exception=False, set_status_on_exception=False)

    def first_token(self) -> None:
        self.doing.add_event("first token")

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self.doing.end()


class _MemberSpan(MemberSpan):
    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            _mark_failed(self._span, kind.__name__)
        self._span.end()

    def failed(self, items: int, error: str) -> None:
        self._span.set_attribute("streamproc.member.failed_items", items)
        _mark_failed(self._span, error)


@contextmanager
def _current(span: Span) -> Iterator[None]:
    """Make a span the current one, and end it; of an error only the type is kept.

    Its message may quote what a user sent.
    """
    kept = use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False)
    with kept:
        try:
            yield
        except BaseException as error:
            _mark_failed(span, type(error).__name__)
            raise


def _mark_failed(span: Span, error: str) -> None:
    span.set_attribute("error.type", error)
    span.set_status(Status(StatusCode.ERROR))


def _messaging(operation: str, topic: str, value: bytes | None) -> dict[str, Any]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
        "messaging.message.body.size": len(value or b""),
    }
