"""The tracer of this process: OpenTelemetry's, where somebody has set it up."""

from __future__ import annotations

from streamproc import __version__
from streamproc.tracing.tracer import NO_TRACER, Tracer


def installed_tracer(group_id: str) -> Tracer:
    """A tracer over the SDK that was set up, as by `opentelemetry-instrument`; else none.

    group_id: the consumer group, which spans name
    """
    try:
        from opentelemetry import trace  # noqa: PLC0415 - the extra `tracing` brings it
    except ImportError:
        return NO_TRACER
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        # The API without an SDK: all spans would be made, and none kept.
        return NO_TRACER
    from streamproc.tracing.spans import OpenTelemetryTracer  # noqa: PLC0415 - imports the same

    return OpenTelemetryTracer(provider.get_tracer("streamproc", __version__), group_id)
