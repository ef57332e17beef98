"""What all engines of a worker share, and are bounded by."""

from __future__ import annotations

from dataclasses import dataclass, field

from streamproc.clock import Clock
from streamproc.metrics import Metrics
from streamproc.serving.batching.batcher import Limits
from streamproc.serving.decoding.kv_cache_budget import KVCacheLimits
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.residency import Residency
from streamproc.tracing.tracer import NO_TRACER, Tracer


@dataclass(frozen=True, slots=True)
class EngineContext:
    """call_timeout_s: one member's time for a batch, or for a step
    max_document_chunks: chunks of one document in the works at a time
    kv_cache: sequences that are decoded at a time, per ensemble and lane
    residency: which stages are loaded, of models in stages
    tracer: told of chunks, batches and members
    """

    executor: ModelExecutor
    limits: Limits
    call_timeout_s: float
    max_document_chunks: int
    clock: Clock
    metrics: Metrics
    kv_cache: KVCacheLimits = field(default_factory=KVCacheLimits)
    residency: Residency = field(default_factory=Residency)
    tracer: Tracer = NO_TRACER
