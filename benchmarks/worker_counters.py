"""A worker's counters, as its `/metrics` tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Counters:
    """A worker's counters at one moment.

    stage_s: seconds by stage; tokens: by kind, "content" or "padded"; chunks, batches: run
    """

    stage_s: Mapping[str, float]
    tokens: Mapping[str, float]
    chunks: float
    batches: float

    def since(self, before: Counters) -> Counters:
        """What came to them since an earlier moment."""
        return Counters(
            _less(self.stage_s, before.stage_s),
            _less(self.tokens, before.tokens),
            self.chunks - before.chunks,
            self.batches - before.batches,
        )


def read_counters(exposition: str) -> Counters:
    """The counters in what a worker's `/metrics` says."""
    stage_s: dict[str, float] = {}
    tokens: dict[str, float] = {}
    totals = {"streamproc_chunks_total": 0.0, "streamproc_batches_total": 0.0}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name == "streamproc_stage_seconds_total":
                stage_s[sample.labels["stage"]] = sample.value
            elif sample.name == "streamproc_tokens_total":
                kind = sample.labels["kind"]
                tokens[kind] = tokens.get(kind, 0.0) + sample.value
            elif sample.name in totals:
                totals[sample.name] += sample.value
    return Counters(
        stage_s, tokens, totals["streamproc_chunks_total"], totals["streamproc_batches_total"]
    )


def _less(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0.0) for name, value in after.items()}
