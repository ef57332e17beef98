"""Where a process keeps answers: nowhere, in memory, in a shared cache; and of which requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from streamproc.caching.address import Address
from streamproc.clock import Clock
from streamproc.enrichment.route import Route
from streamproc.errors import SettingsError
from streamproc.kafka.topics import RequestTopic
from streamproc.metrics import Metrics
from streamproc.serving.answer_cache import AnswerCache
from streamproc.serving.inference.numerics import numerics
from streamproc.serving.inference.providers import Provider
from streamproc.serving.tasks.catalogue import task_named
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.caching.memory_store import MemoryStore
    from streamproc.caching.valkey_store import ValkeyStore

CacheOf = Callable[[Route, str], AnswerCache | None]
"""Where the answers to what a route asks a task are kept; None: nowhere."""


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

                self._shared = ValkeyStore.of(settings, address, clock, metrics)
        except ImportError as missing:
            raise SettingsError(
                f"STREAMPROC_CACHE_BYTES and STREAMPROC_CACHE_URL need {missing.name}, which is "
                'not installed: pip install "streamproc[cache]"'
            ) from None
        if self._only:
            self._require_place("STREAMPROC_CACHE_TASKS names tasks")

    async def start(self) -> None:
        """Look whether the shared cache is there; it need not be."""
        if self._shared is not None:
            await self._shared.start()

    def of_topic(self, topic: RequestTopic) -> AnswerCache | None:
        """Where the answers to a topic's requests are kept; None: nowhere.

        It may say so itself; else it is as the settings say.
        Raises SettingsError where it wants them kept, and the settings name no place.
        """
        return self._as_described(topic.task, topic.cache, f"topic {topic.name}")

    def of_route(self, route: Route, task: str) -> AnswerCache | None:
        """The same of what a route asks a task."""
        return self._as_described(task, route.cache, f"route {route.name}")

    def of_task(self, task: str) -> AnswerCache | None:
        """Where the answers of a task are kept, as the settings say; None: nowhere."""
        is_kept = self._has_place and (not self._only or task in self._only)
        return self._cache(task) if is_kept else None

    @property
    def _has_place(self) -> bool:
        return self._memory is not None or self._shared is not None

    def _require_place(self, wanted: str) -> None:
        if not self._has_place:
            raise SettingsError(
                f"{wanted}, but nothing says where answers are to be kept: set "
                "STREAMPROC_CACHE_BYTES, STREAMPROC_CACHE_URL or both"
            )

    def _as_described(self, task: str, is_kept: bool | None, where: str) -> AnswerCache | None:
        if is_kept is None:
            return self.of_task(task)
        if not is_kept:
            return None
        self._require_place(f"{where} says `cache: true`")
        return self._cache(task)

    def _cache(self, task: str) -> AnswerCache:
        """The same one whichever way requests come, so that they wait for each other."""
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
