"""The metrics, by their Prometheus names; all of them are declared here."""

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
    """One worker's metrics, in their own registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.process = ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.build = Gauge(
            "streamproc_build_info",
            "Always 1; the label is the version of streamproc",
            ("version",),
            registry=self.registry,
        )
        self.build.labels(__version__).set(1)
        self.ensembles = Gauge(
            "streamproc_ensemble_info",
            "Always 1; the labels are an ensemble that is served, its version and the digest of "
            "its manifest",
            ("ensemble", "task", "version", "manifest"),
            registry=self.registry,
        )
        self.reloads = Counter(
            "streamproc_model_reloads_total",
            "Versions of ensembles that a running worker was to serve: taken over, or refused",
            ("ensemble", "outcome"),
            registry=self.registry,
        )
        self.reload_refused = Gauge(
            "streamproc_model_refused",
            "1 while an ensemble is served in another version than is promoted, as that was "
            "refused; else 0",
            ("ensemble",),
            registry=self.registry,
        )
        self.ready = Gauge(
            "streamproc_ready",
            "1 while the worker is ready to answer, else 0",
            registry=self.registry,
        )
        self.lag_seconds = Gauge(
            "streamproc_lag_seconds",
            "Seconds since the oldest record that is not finished was made, "
            "in the topic-partitions that this worker has; 0: nothing waits",
            ("topic", "lane"),
            registry=self.registry,
        )
        self.members_left_out = Gauge(
            "streamproc_members_left_out",
            "Members that are not asked, of each ensemble, as the topic's requests wait too long",
            ("topic",),
            registry=self.registry,
        )
        self.lag_records = Gauge(
            "streamproc_lag_records",
            "Records that are not finished, in the topic-partitions that this worker has",
            ("topic", "lane"),
            registry=self.registry,
        )
        self.assigned = Gauge(
            "streamproc_assigned_topic_partitions",
            "Topic-partitions that this worker has",
            ("topic", "lane"),
            registry=self.registry,
        )
        self.request_age_seconds = Histogram(
            "streamproc_request_age_seconds",
            "Seconds from a record's timestamp until the worker consumed it",
            ("task", "lane"),
            buckets=_AGES,
            registry=self.registry,
        )
        self.requests = Counter(
            "streamproc_requests_total",
            "Requests finished, by status",
            ("task", "lane", "status"),
            registry=self.registry,
        )
        self.errors = Counter(
            "streamproc_errors_total",
            "Requests that ended as an error, by type of error",
            ("task", "lane", "type"),
            registry=self.registry,
        )
        self.canary_seconds = Gauge(
            "streamproc_canary_seconds",
            "Seconds that the last canary of an ensemble took; NaN: it had no answer",
            ("ensemble",),
            registry=self.registry,
        )
        self.worker_failures = Counter(
            "streamproc_worker_failures_total",
            "Requests that failed by the worker's own fault: late, bug; held: kept from becoming "
            "dead letters, as too many had before",
            ("reason",),
            registry=self.registry,
        )
        self.cancelled = Counter(
            "streamproc_cancelled_requests_total",
            "Requests that whoever asked took back: before they were begun, or while they were "
            "answered",
            ("task", "lane", "stage"),
            registry=self.registry,
        )
        self.known_cancels = Gauge(
            "streamproc_known_cancels",
            "Requests of the last ten minutes that are known to be taken back",
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "streamproc_request_seconds",
            "Seconds from consuming a request until its response is stored",
            ("task", "lane"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stage_seconds = Counter(
            "streamproc_stage_seconds_total",
            "Seconds spent in each stage; for queue and batch, summed over chunks",
            ("stage",),
            registry=self.registry,
        )
        self.dead_letters = Counter(
            "streamproc_dead_letters_total",
            "Records sent to a dead-letter topic, by type of error",
            ("task", "type"),
            registry=self.registry,
        )
        self.parts = Counter(
            "streamproc_parts_total",
            "Parts of texts published while these are written, by whether the broker stored them",
            ("task", "stored"),
            registry=self.registry,
        )
        self.route_events = Counter(
            "streamproc_route_events_total",
            "Events that a route is done with: enriched, unmatched, tombstone or dead-letter",
            ("route", "outcome"),
            registry=self.registry,
        )
        self.route_answers = Counter(
            "streamproc_route_answers_total",
            "Answers of a route's events: ok, skipped or failed",
            ("route", "answer", "state"),
            registry=self.registry,
        )
        self.route_seconds = Histogram(
            "streamproc_route_seconds",
            "Seconds from taking an event to storing what became of it",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.retries = Counter(
            "streamproc_retries_total",
            "Attempts that failed because of a fault of the worker, and were repeated",
            ("task",),
            registry=self.registry,
        )
        self.in_flight_bytes = Gauge(
            "streamproc_in_flight_bytes",
            "Bytes of requests that were consumed and are not finished",
            ("lane",),
            registry=self.registry,
        )
        self.kept_answers = Gauge(
            "streamproc_kept_answers",
            "Finished requests whose answers wait for the transaction that commits them",
            registry=self.registry,
        )
        self._declare_ensembles()
        self._declare_caches()
        self._declare_experiments()

    def _declare_ensembles(self) -> None:
        self.chunks = Counter(
            "streamproc_chunks_total",
            "Chunks whose scoring or decoding began",
            ("ensemble",),
            registry=self.registry,
        )
        self.batches = Counter(
            "streamproc_batches_total",
            "Batches run through an ensemble",
            ("ensemble",),
            registry=self.registry,
        )
        self.tokens = Counter(
            "streamproc_tokens_total",
            "Tokens run through an ensemble: of batches without padding (content) and with it "
            "(padded), of decoding those of the input (read) and of the output (written)",
            ("ensemble", "kind"),
            registry=self.registry,
        )
        self.sequences = Counter(
            "streamproc_sequences_total",
            "Sequences that finished decoding, by reason",
            ("ensemble", "status"),
            registry=self.registry,
        )
        self.steps = Counter(
            "streamproc_steps_total",
            "Decoding steps, without the first one of each sequence",
            ("ensemble",),
            registry=self.registry,
        )
        self.step_rows = Counter(
            "streamproc_step_rows_total",
            "Rows in decoding steps: one for each sequence, or for each of its beams",
            ("ensemble",),
            registry=self.registry,
        )
        self.first_token_seconds = Histogram(
            "streamproc_first_token_seconds",
            "Seconds from submitting a chunk, admission wait included, until its first token",
            ("ensemble", "lane"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.member_failures = Counter(
            "streamproc_member_failures_total",
            "Chunks that a member gave no result for, because it was late or failed",
            ("ensemble", "member", "status"),
            registry=self.registry,
        )
        self.member_circuit_open = Gauge(
            "streamproc_member_circuit_open",
            "Whether a member's calls are not made for now, because it was late or failed",
            ("ensemble", "member"),
            registry=self.registry,
        )
        self.member_skips = Counter(
            "streamproc_member_skips_total",
            "Chunks that a member was not asked for, as the spec or a brown-out says",
            ("ensemble", "member"),
            registry=self.registry,
        )
        self.member_choices = Counter(
            "streamproc_member_choices_total",
            "Choices of an ensemble, as of a label or a token, that were a member's too, or not",
            ("ensemble", "member", "agreed"),
            registry=self.registry,
        )
        self.member_seconds = Counter(
            "streamproc_member_seconds_total",
            "Seconds that a member's calls took on model threads",
            ("ensemble", "member"),
            registry=self.registry,
        )
        self.queued_tokens = Gauge(
            "streamproc_queued_tokens",
            "Tokens that wait for a batch, or for admission to decoding",
            ("ensemble",),
            registry=self.registry,
        )

    def _declare_caches(self) -> None:
        self.cache_requests = Counter(
            "streamproc_cache_requests_total",
            "Answers looked for among those kept: found in memory or in the shared cache, taken "
            "from an equal request that was under way (joined), worked out anew (miss), or not to "
            "be kept (passed)",
            ("task", "outcome"),
            registry=self.registry,
        )
        self.cache_age_seconds = Histogram(
            "streamproc_cache_age_seconds",
            "Seconds since a kept answer was worked out, when it is given again",
            ("task",),
            buckets=_AGES,
            registry=self.registry,
        )
        self.cache_bytes = Gauge(
            "streamproc_cache_bytes",
            "Bytes that answers kept in memory take",
            registry=self.registry,
        )
        self.cache_max_bytes = Gauge(
            "streamproc_cache_max_bytes",
            "Bytes that answers kept in memory may take; 0: none are",
            registry=self.registry,
        )
        self.cache_entries = Gauge(
            "streamproc_cache_entries",
            "Answers kept in memory",
            registry=self.registry,
        )
        self.cache_evictions = Counter(
            "streamproc_cache_evictions_total",
            "Answers that memory gave up, to make space (size) or as they were too old (age)",
            ("reason",),
            registry=self.registry,
        )
        self.cache_shared_up = Gauge(
            "streamproc_cache_shared_up",
            "1 while the shared cache at an address answers, else 0",
            ("at",),
            registry=self.registry,
        )
        self.cache_shared_errors = Counter(
            "streamproc_cache_shared_errors_total",
            "Times that the shared cache was late, failed, or refused to keep an answer",
            ("reason",),
            registry=self.registry,
        )

    def _declare_experiments(self) -> None:
        self.experiment_requests = Counter(
            "streamproc_experiment_requests_total",
            "Requests that an arm of an experiment answered, or was asked about as a shadow",
            ("experiment", "arm"),
            registry=self.registry,
        )
        self.shadows_dropped = Counter(
            "streamproc_experiment_shadows_dropped_total",
            "Requests that a shadow arm was not asked about, as too many were under way",
            ("experiment", "arm"),
            registry=self.registry,
        )
        self.exposures_lost = Counter(
            "streamproc_experiment_exposures_lost_total",
            "Records of what an arm made of a request that Kafka did not store",
            ("experiment", "arm"),
            registry=self.registry,
        )

    def tokens_run(self) -> int:
        """Tokens that ensembles have read and written so far, padding left out."""
        return round(
            sum(
                sample.value
                for metric in self.tokens.collect()
                for sample in metric.samples
                if sample.name.endswith("_total") and sample.labels["kind"] != "padded"
            )
        )
