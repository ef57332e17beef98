"""What is measured, by Prometheus names; every metric is declared here and nowhere else."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from streamproc import __version__

_AGES = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 7200, 43_200, 172_800)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """One worker's metrics, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.build = Gauge(
            "streamproc_build_info", "Always 1", ("version",), registry=self.registry
        )
        self.build.labels(__version__).set(1)
        self.ensembles = Gauge(
            "streamproc_ensemble_info",
            "Always 1: an ensemble that is served, and the digest of its manifest",
            ("ensemble", "task", "manifest"),
            registry=self.registry,
        )
        self.request_age_seconds = Histogram(
            "streamproc_request_age_seconds",
            "From a record's timestamp to taken in: how long it lay in Kafka",
            ("task", "lane"),
            buckets=_AGES,
            registry=self.registry,
        )
        self.requests = Counter(
            "streamproc_requests_total",
            "Requests finished, by how they ended",
            ("task", "lane", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "streamproc_request_seconds",
            "From taken in to response stored",
            ("task", "lane"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stage_seconds = Counter(
            "streamproc_stage_seconds_total",
            "Time spent in each stage; of queue and batch, summed over chunks",
            ("stage",),
            registry=self.registry,
        )
        self.dead_letters = Counter(
            "streamproc_dead_letters_total",
            "Records given up on, by type of error",
            ("task", "type"),
            registry=self.registry,
        )
        self.retries = Counter(
            "streamproc_retries_total",
            "Attempts that failed through the worker's own fault",
            ("task",),
            registry=self.registry,
        )
        self.chunks = Counter(
            "streamproc_chunks_total",
            "Chunks begun: scored in a batch, or let in to be decoded",
            ("ensemble",),
            registry=self.registry,
        )
        self.batches = Counter(
            "streamproc_batches_total", "Batches run", ("ensemble",), registry=self.registry
        )
        self.tokens = Counter(
            "streamproc_tokens_total",
            "Tokens run through models, once whatever the members; of batches their content and "
            "padded, of decoding read and written, one a step and sequence whatever its beams",
            ("ensemble", "kind"),
            registry=self.registry,
        )
        self.sequences = Counter(
            "streamproc_sequences_total",
            "Chunks decoded, by how they ended",
            ("ensemble", "status"),
            registry=self.registry,
        )
        self.steps = Counter(
            "streamproc_steps_total",
            "Decoding steps run, the first of each sequence left out",
            ("ensemble",),
            registry=self.registry,
        )
        self.step_rows = Counter(
            "streamproc_step_rows_total",
            "Rows of decoding steps: sequences, or beams of them",
            ("ensemble",),
            registry=self.registry,
        )
        self.first_token_seconds = Histogram(
            "streamproc_first_token_seconds",
            "From a chunk handed in, waiting for room included, to its first token",
            ("ensemble", "lane"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.member_failures = Counter(
            "streamproc_member_failures_total",
            "Chunks that a member has no result for, by how it was lost",
            ("ensemble", "member", "status"),
            registry=self.registry,
        )
        self.queued_tokens = Gauge(
            "streamproc_queued_tokens",
            "Tokens that wait for a batch, or for room to be decoded",
            ("ensemble",),
            registry=self.registry,
        )
        self.in_flight_bytes = Gauge(
            "streamproc_in_flight_bytes",
            "Bytes of requests taken in and not finished",
            ("lane",),
            registry=self.registry,
        )
