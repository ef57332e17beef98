"""Where a process keeps answers, as its settings say: nowhere, in memory, in a shared cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from streamproc.caching.address import Address
from streamproc.clock import Clock
from streamproc.errors import SettingsError
from streamproc.metrics import Metrics
from streamproc.serving.answer_cache import AnswerCache
from streamproc.serving.inference.numerics import numerics
from streamproc.serving.inference.providers import Provider
from streamproc.serving.tasks.catalogue import task_named
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.caching.memory_store import MemoryStore
    from streamproc.caching.valkey_store import ValkeyStore

CacheOf = Callable[[str], AnswerCache | None]
"""Where the answers of a task are kept, by its name; None: nowhere."""


def no_cache(_: str) -> None:
    """Keep no task's answers."""


class AnswerCaches:
    """The caches of a process, one a task, over one memory and one shared cache.

    What they need is an extra, imported only where something is to be kept.
    """

    def __init__(
        self, settings: Settings, provider: Provider, clock: Clock, metrics: Metrics
    ) -> None:
        """Raises SettingsError where a task is unknown, or what is needed is not installed."""
        self._only = frozenset(task_named(name).name for name in settings.cache_tasks)
        self._memory: MemoryStore | None = None
        self._shared: ValkeyStore | None = None
        self._of_task: dict[str, AnswerCache] = {}
        self._clock, self._metrics, self._provider = clock, metrics, provider
        address = Address.of(settings)
        try:
            if settings.cache_bytes:
                from streamproc.caching.memory_store import MemoryStore  # noqa: PLC0415

                self._memory = MemoryStore(
                    settings.cache_bytes, settings.cache_ttl_s, clock, metrics
                )
            if address is not None:
                from streamproc.caching.valkey_store import ValkeyStore  # noqa: PLC0415

                self._shared = ValkeyStore(
                    address,
                    ttl_s=settings.cache_ttl_s,
                    timeout_s=settings.cache_timeout_ms / 1000,
                    clock=clock,
                    metrics=metrics,
                )
        except ImportError as missing:
            raise SettingsError(
                f"STREAMPROC_CACHE_BYTES and STREAMPROC_CACHE_URL need {missing.name}, which is "
                'not installed: pip install "streamproc[cache]"'
            ) from None
        if self._only and self._memory is None and self._shared is None:
            raise SettingsError(
                "STREAMPROC_CACHE_TASKS names tasks, but nothing says where their answers are to "
                "be kept: set STREAMPROC_CACHE_BYTES, STREAMPROC_CACHE_URL or both"
            )

    async def start(self) -> None:
        """Look whether the shared cache is there; it need not be."""
        if self._shared is not None:
            await self._shared.start()

    def of_task(self, task: str) -> AnswerCache | None:
        """Where the answers of a task are kept; None: nowhere.

        It is the same one whichever way requests come, so that they wait for each other.
        """
        if self._memory is None and self._shared is None:
            return None
        if self._only and task not in self._only:
            return None
        if task not in self._of_task:
            self._of_task[task] = AnswerCache(
                task,
                numerics=numerics(self._provider),
                memory=self._memory,
                shared=self._shared,
                clock=self._clock,
                metrics=self._metrics,
            )
        return self._of_task[task]

    def troubles(self) -> list[str]:
        """Why nothing is shared at present, which keeps no request from being answered."""
        return [] if self._shared is None else self._shared.troubles()

    async def close(self) -> None:
        """Hand over what is not yet, and close connections."""
        if self._shared is not None:
            await self._shared.close()
