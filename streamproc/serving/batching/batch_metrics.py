"""What an ensemble whose members score chunks in batches tells its operator."""

from __future__ import annotations

from collections.abc import Sequence

from streamproc.metrics import Metrics


class BatchMetrics:
    """One ensemble's; every metric looked up once, as that costs more than counting."""

    def __init__(self, metrics: Metrics, ensemble: str) -> None:
        self.queued_tokens = metrics.queued_tokens.labels(ensemble)
        self._batches = metrics.batches.labels(ensemble)
        self._chunks = metrics.chunks.labels(ensemble)
        self._tokens = metrics.tokens.labels(ensemble, "content")
        self._padded_tokens = metrics.tokens.labels(ensemble, "padded")
        self._queue_s = metrics.stage_seconds.labels("queue")
        self._batch_s = metrics.stage_seconds.labels("batch")

    def begun(self, lengths: Sequence[int]) -> None:
        """A batch of chunks that are so many tokens long is handed to the members."""
        self._batches.inc()
        self._chunks.inc(len(lengths))
        self._tokens.inc(sum(lengths))
        self._padded_tokens.inc(len(lengths) * max(lengths))

    def answered(self, queue_ms: float, run_ms: float) -> None:
        """Chunks of a batch have their results: the sums of their waits, and of how long it ran."""
        self._queue_s.inc(queue_ms / 1000)
        self._batch_s.inc(run_ms / 1000)
