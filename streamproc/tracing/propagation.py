"""Trace contexts in the headers of records, as W3C Trace Context and CloudEvents write them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import Span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from streamproc.messages.cloudevents import BINARY_PREFIX
from streamproc.messages.outgoing import TRACE_HEADERS
from streamproc.messages.record import ProducerRecord, Record

# Not the propagators that the environment names: a record's headers are part of the contract.
_W3C: Final = TraceContextTextMapPropagator()
_OF_EVENTS: Final = tuple(BINARY_PREFIX + name for name in TRACE_HEADERS)


def upstream_context(record: Record) -> Context:
    """The context that a record's headers name, or its CloudEvent's; empty where none does."""
    for names in (TRACE_HEADERS, _OF_EVENTS):
        found = zip(TRACE_HEADERS, map(record.header, names), strict=True)
        carrier = {name: value.decode("ascii", "replace") for name, value in found if value}
        if carrier and (context := _W3C.extract(carrier, Context())):
            return context
    return Context()


def with_context(record: ProducerRecord, span: Span) -> ProducerRecord:
    """The record with headers that name the span, in the place of others.

    A binary CloudEvent's attributes name it where they named another: the extension has to say
    what the headers say.
    """
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, set_span_in_context(span, Context()))
    kept = [header for header in record.headers if header[0] not in (*TRACE_HEADERS, *_OF_EVENTS)]
    is_traced_event = any(name in _OF_EVENTS for name, _ in record.headers)
    for name, value in carrier.items():
        kept.append((name, value.encode()))
        if is_traced_event:
            kept.append((BINARY_PREFIX + name, value.encode()))
    return replace(record, headers=tuple(kept))
