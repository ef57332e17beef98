"""What an ensemble that decodes tells its operator."""

from __future__ import annotations

from typing import Literal, get_args

from streamproc.messages.lane import Lane
from streamproc.metrics import Metrics
from streamproc.serving.decoding.search import FinishReason

Ended = FinishReason | Literal["failed", "cancelled"]
"""How a sequence ended; failed: too few members, or an error; cancelled: nobody waited any more."""


class DecodingMetrics:
    """One ensemble's; every metric looked up once, as that costs more than counting."""

    def __init__(self, metrics: Metrics, ensemble: str) -> None:
        self._begun = metrics.chunks.labels(ensemble)
        self._read = metrics.tokens.labels(ensemble, "read")
        self._written = metrics.tokens.labels(ensemble, "written")
        self._first_token = {
            lane: metrics.first_token_seconds.labels(ensemble, lane.name.lower()) for lane in Lane
        }
        self._steps = metrics.steps.labels(ensemble)
        self._step_rows = metrics.step_rows.labels(ensemble)
        self._ended = {
            how: metrics.sequences.labels(ensemble, how)
            for how in (*get_args(FinishReason), "failed", "cancelled")
        }
        self._queue_s = metrics.stage_seconds.labels("queue")
        self._batch_s = metrics.stage_seconds.labels("batch")

    def answered(self, queue_ms: float, run_ms: float) -> None:
        """A sequence was written: it waited for room, and took steps, for so long."""
        self._queue_s.inc(queue_ms / 1000)
        self._batch_s.inc(run_ms / 1000)

    def begun(self) -> None:
        """A sequence has got its room."""
        self._begun.inc()

    def read(self, tokens: int) -> None:
        """A sequence's input is handed to the members."""
        self._read.inc(tokens)

    def first_token(self, seconds: float, lane: Lane) -> None:
        """A sequence has its first token, so long after it was submitted."""
        self._first_token[lane].observe(seconds)

    def stepped(self, rows: int) -> None:
        """All members are asked for the next token of so many rows."""
        self._steps.inc()
        self._step_rows.inc(rows)

    def wrote(self, tokens: int) -> None:
        """So many sequences have become a token longer."""
        self._written.inc(tokens)

    def ended(self, how: Ended) -> None:
        """A sequence has left."""
        self._ended[how].inc()
