"""The metrics of a gateway, by their Prometheus names."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from streamproc import __version__

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class GatewayMetrics:
    """One gateway's metrics, in their own registry."""

    def __init__(self, in_flight: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        build = Gauge(
            "streamproc_build_info",
            "Always 1; the label is the version of streamproc",
            ("version",),
            registry=self.registry,
        )
        build.labels(__version__).set(1)
        self.requests = Counter(
            "streamproc_gateway_requests_total",
            "HTTP requests answered, by address and status",
            ("route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "streamproc_gateway_request_seconds",
            "Seconds from an HTTP request's headers until the last byte of its answer",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "streamproc_gateway_in_flight",
            "Requests that were sent to Kafka and are not answered",
            registry=self.registry,
        )
        self.in_flight.set_function(in_flight)
