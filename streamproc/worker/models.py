"""The models of one process: loaded onto one device, run by one set of threads."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Final

from streamproc.clock import Clock
from streamproc.metrics import Metrics
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.repository.versioned_name import versioned
from streamproc.serving.assembly import load_engine
from streamproc.serving.batching.batcher import Limits
from streamproc.serving.context import EngineContext
from streamproc.serving.decoding.kv_cache_budget import KVCacheLimits
from streamproc.serving.engine import Engine
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.providers import CPU, CUDA, choose_provider
from streamproc.serving.inference.residency import Residency
from streamproc.serving.tasks.catalogue import task_named
from streamproc.settings import Settings
from streamproc.tracing.tracer import NO_TRACER, Tracer

# A core gains nothing from larger batches, and interactive requests wait for them; a GPU is idle
# without them.
DEFAULT_BUDGET_TOKENS: Final = {CPU: 512, CUDA: 16_384}
# A GPU runs one batch while the next is made ready; what waits beyond that makes larger batches.
# None: as many as there are threads, each a core's.
BATCHES_UNDER_WAY: Final[Mapping[str, int | None]] = {CPU: None, CUDA: 2}


class Models:
    """Loads ensembles onto one device and one set of threads."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        tracer: Tracer = NO_TRACER,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """versions: of ensembles, where others are meant than the settings say"""
        self.repository = Repository.trusting(settings.models_dir, settings.model_key)
        self._pins = {**settings.pinned_versions, **(versions or {})}
        self.metrics = metrics
        self.provider = choose_provider(settings.device)
        self.executor = ModelExecutor(settings.threads or usable_cores())
        self.budget_tokens = (
            settings.batch_budget_tokens or DEFAULT_BUDGET_TOKENS[self.provider.name]
        )
        self._context = EngineContext(
            self.executor,
            Limits(
                budget_tokens=self.budget_tokens,
                slots=BATCHES_UNDER_WAY[self.provider.name] or self.executor.threads,
                max_wait_ms=settings.batch_max_wait_ms,
                max_queued_tokens=settings.max_queued_tokens,
            ),
            call_timeout_s=settings.call_timeout_s,
            max_document_chunks=settings.max_document_chunks,
            clock=clock,
            metrics=metrics,
            kv_cache=KVCacheLimits(settings.max_decoding_rows, settings.max_decoding_tokens),
            residency=Residency(settings.max_resident_bytes),
            tracer=tracer,
        )

    def load_task(self, task: str, only: Collection[str] | None = None) -> dict[str, Engine]:
        """Every ensemble of a task, or of `only` some, by name."""
        task_named(task)
        return {
            ensemble.manifest.name: self.load(ensemble)
            for ensemble in self._stored
            if ensemble.manifest.task == task and (only is None or ensemble.manifest.name in only)
        }

    @cached_property
    def _stored(self) -> tuple[StoredEnsemble, ...]:
        """Every ensemble there is, its manifest read once for all tasks."""
        return tuple(
            self.repository.open(versioned(name, self._pins.get(name)))
            for name in self.repository.names()
        )

    def names(self, task: str) -> list[str]:
        """What `load_task` would load, without loading it."""
        task_named(task)
        manifests = (ensemble.manifest for ensemble in self._stored)
        return sorted(manifest.name for manifest in manifests if manifest.task == task)

    async def close(self) -> None:
        """Let the threads go; returns once the calls that run have come back."""
        self.executor.close()
        await self.executor.wait_closed()

    def load(self, stored: StoredEnsemble) -> Engine:
        """One ensemble, tried out; raises ModelRefused."""
        task = task_named(stored.manifest.task)
        return load_engine(stored, task, self.provider, self._context)


def usable_cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
