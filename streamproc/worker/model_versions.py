"""The versions of ensembles that a worker serves: loaded at its start, and exchanged while it runs.

A version that is promoted is loaded and tried out beside the one that serves, on a thread of its
own. Requests that come once it is ready go to it; those that the old one has begun it finishes, and
is then let go. What is refused never serves: the old version stays, and says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final, NoReturn

import structlog

from streamproc.clock import Clock
from streamproc.did_you_mean import there_are
from streamproc.errors import ModelRefused
from streamproc.memory_allocator import malloc_trim
from streamproc.messages.model_choice import ModelChoice, VersionDigest
from streamproc.metrics import Metrics
from streamproc.repository.repository import StoredEnsemble
from streamproc.repository.versioned_name import versioned
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.inference.device_memory import DeviceMemory
from streamproc.serving.inference.executor import yield_to_the_event_loop
from streamproc.serving.inference.free_memory import free_memory_bytes
from streamproc.worker.interface import Interface
from streamproc.worker.model_memory import require_memory
from streamproc.worker.models import Models
from streamproc.worker.refusals import Refusal

LOOK_AGAIN_S: Final = 30.0
"""Until what was refused is looked at again: files may have come, or memory may be free."""

log = structlog.get_logger(__name__)


class ModelVersions:
    """The engines of a worker, by task, and what exchanges them."""

    def __init__(
        self,
        models: Models,
        pins: Mapping[str, str],
        clock: Clock,
        metrics: Metrics,
        *,
        free_bytes: Callable[[], int | None] = free_memory_bytes,
        device_memory: Callable[[], DeviceMemory | None] = lambda: None,
        look_again_s: float = LOOK_AGAIN_S,
    ) -> None:
        """pins: versions that are served whatever is promoted, by ensemble
        free_bytes, device_memory: ask for what is free
        look_again_s: until what was refused is looked at again
        """
        self._models = models
        self.repository = models.repository
        self._pins = pins
        self._clock = clock
        self._metrics = metrics
        self._free_bytes, self._device_memory = free_bytes, device_memory
        self._look_again_s = look_again_s
        self.by_task: dict[str, Engines] = {}
        self._choices: Mapping[str, ModelChoice] = {}
        self._refusals: dict[str, tuple[ModelChoice, Refusal]] = {}
        self._followed: dict[str, ModelChoice] = {}
        self._news = asyncio.Event()
        self.settled = asyncio.Event()
        """Everything that was told is served, or refused."""
        self.at_hand: Callable[[str, VersionDigest], Engine | None] = lambda _, __: None
        """Gives up an engine of a version that something else has loaded, if there is one."""
        self._draining: set[asyncio.Task[None]] = set()
        self._thread: ThreadPoolExecutor | None = None

    def load(
        self, tasks: Collection[str], choices: Mapping[str, ModelChoice]
    ) -> Mapping[str, Engines]:
        """Load the ensembles of some tasks, in the versions that are to be served; by task.

        A version that can't be served has the one that was served before it take its place, or at
        last that of the folder of models. Raises ModelRefused where none can.
        """
        self._choices = choices
        there = self.repository.names()
        for name in self._pins:
            if name not in there:
                raise ModelRefused(
                    f"STREAMPROC_MODEL_VERSIONS: no ensemble {name!r} in {self.repository.root}; "
                    f"{there_are(name, there)}"
                )
        for task in tasks:
            names = self._models.names(task)
            self.by_task[task] = Engines({name: self._loaded(name) for name in names})
        for engines in self.by_task.values():
            for name, engine in engines.items():
                self._show(engine)
                refused = self._metrics.reload_refused.labels(name)
                refused.set_function(partial(self._is_refused, name))
                self._ask_for_queue(engines, name)
        return self.by_task

    def engines(self) -> list[Engine]:
        """Those that serve now."""
        return [engine for engines in self.by_task.values() for engine in engines.values()]

    def troubles(self) -> list[str]:
        """Why ensembles can't answer, a clause each; none where all can."""
        return [reason for engine in self.engines() for reason in engine.health.troubles()]

    def degraded(self) -> list[str]:
        """What is amiss with members that the others suffice without, a clause each."""
        return [reason for engine in self.engines() for reason in engine.health.spared()]

    def refusal(self, name: str) -> Refusal | None:
        """Why an ensemble is not served in the version that is promoted; None: it is."""
        _, refusal = self._refusals.get(name, (None, None))
        return refusal

    def followed_at_ms(self, name: str) -> int | None:
        """When that was chosen which is served or refused by now; None: nothing was."""
        choice = self._followed.get(name)
        return None if choice is None else choice.at_ms

    def tell(self, choices: Mapping[str, ModelChoice]) -> None:
        """All that is chosen now, by ensemble; `keep` sees to it that it is served."""
        self._choices = choices
        self.settled.clear()
        self._news.set()

    async def load_beside(self, engines: Engines, name: str, wanted: VersionDigest) -> Engine:
        """A version, loaded and tried out in the background, beside the one that serves.

        Raises ModelRefused or OSError, and whatever else a damaged model raises.
        """
        try:
            return await self._in_background(
                partial(self._load_beside, name, wanted, engines[name])
            )
        finally:
            self._ask_for_queue(engines, name)

    async def keep(self) -> NoReturn:
        """Have the promoted versions served, until cancelled."""
        while True:
            with suppress(TimeoutError):
                # Without anything refused there is nothing to look at again.
                async with asyncio.timeout(self._look_again_s if self._refusals else None):
                    await self._news.wait()
            self._news.clear()
            for engines in self.by_task.values():
                for name in engines:
                    choice = self._choices.get(name)
                    await self._follow(engines, name)
                    if choice is not None:
                        self._followed[name] = choice
            if not self._news.is_set():
                self.settled.set()

    def let_go(self, old: Engine) -> None:
        """Have a version that gets no more requests finish those it has; then free its memory."""
        draining = asyncio.create_task(_let_go(old))
        self._draining.add(draining)
        draining.add_done_callback(self._draining.discard)

    async def close(self) -> None:
        """Let go of what was on its way."""
        for task in self._draining:
            task.cancel()
        if self._thread is not None:
            # One that is loading goes on to its end: nothing ends it earlier.
            await asyncio.to_thread(self._thread.shutdown)

    def _loaded(self, name: str) -> Engine:
        """An ensemble at the start, in the first of the versions to be served that can be."""
        pin, choice = self._pins.get(name), self._choices.get(name)
        if pin is not None or choice is None:
            return self._models.load(self.repository.open(versioned(name, pin)))
        for wanted in (choice.serves, *reversed(choice.before)):
            try:
                stored = self._stored(name, wanted)
                default = self._default(name)
                if default is not None:
                    Interface.of_stored(default).require_same(stored, default.version)
                return self._models.load(stored)
            except Exception as error:  # noqa: BLE001 - whatever it is, it does not serve
                if wanted == choice.serves:
                    self._refuse(name, choice, error)
        return self._models.load(self.repository.open(name))

    def _default(self, name: str) -> StoredEnsemble | None:
        try:
            return self.repository.open(name)
        except ModelRefused:
            return None

    def _stored(self, name: str, wanted: VersionDigest) -> StoredEnsemble:
        """A version as it lies in the folder of models; raises ModelRefused where it is another."""
        stored = self.repository.open(versioned(name, wanted.version))
        if stored.digest != wanted.manifest:
            raise ModelRefused(
                f"{stored.folder}: its manifest is {stored.digest[:12]}, and "
                f"{wanted.manifest[:12]} was promoted as version {wanted.version}; get the same "
                "files here, or promote what is here"
            )
        return stored

    async def _follow(self, engines: Engines, name: str) -> None:
        """Have one ensemble served as it is chosen, if it can be."""
        choice, spec = self._choices.get(name), engines[name].spec
        if choice is None or name in self._pins:
            self._refusals.pop(name, None)
            return
        if choice.serves == VersionDigest(version=spec.version, manifest=spec.digest):
            self._refusals.pop(name, None)
            return
        chosen, refused = self._refusals.get(name, (None, None))
        if refused and chosen == choice and not refused.is_worth_another_try(self.repository):
            return
        began_s = self._clock.monotonic_s()
        try:
            new = self.at_hand(name, choice.serves)
            if new is None:
                new = await self.load_beside(engines, name, choice.serves)
        except Exception as error:  # noqa: BLE001 - whatever it is, the old version stays
            if self._is_chosen(choice):
                self._refuse(name, choice, error)
            return
        if not self._is_chosen(choice):
            return  # taken back meanwhile
        self._refusals.pop(name, None)
        self._exchange(engines, new, self._clock.monotonic_s() - began_s)

    def _load_beside(self, name: str, wanted: VersionDigest, old: Engine) -> Engine:
        """The version wanted, loaded and tried out; raises ModelRefused, OSError."""
        stored = self._stored(name, wanted)
        Interface.of_engine(old).require_same(stored, old.spec.version)
        require_memory(stored, self._free_bytes, self._device_memory)
        try:
            return self._models.load(stored)
        finally:
            malloc_trim()

    def _exchange(self, engines: Engines, new: Engine, took_s: float) -> None:
        """Requests that come from now on are the new one's."""
        old = engines.replace(new)
        self._hide(old)
        self._show(new)
        spec = new.spec
        self._metrics.reloads.labels(spec.name, "taken-over").inc()
        log.info(
            "version takes over",
            ensemble=spec.name,
            version=spec.version,
            manifest=spec.digest[:12],
            instead_of=old.spec.version,
            loaded_in_s=round(took_s, 1),
            still_answering=len(old.jobs),
        )
        self.let_go(old)

    def _refuse(self, name: str, choice: ModelChoice, error: Exception) -> None:
        """Keep what serves, and say why."""
        chosen, before = self._refusals.get(name, (None, None))
        refusal = Refusal.of(self.repository, name, choice.serves, error)
        self._refusals[name] = choice, refusal
        # What is looked at again and refused for the same reason is no news.
        if before is None or (chosen, before.reason) != (choice, refusal.reason):
            self._metrics.reloads.labels(name, "refused").inc()
            version = choice.serves.version
            log.error("version refused", ensemble=name, version=version, reason=refusal.reason)

    def _is_chosen(self, choice: ModelChoice) -> bool:
        now = self._choices.get(choice.ensemble)
        return now is not None and now.serves == choice.serves

    def _is_refused(self, name: str) -> int:
        return int(name in self._refusals)

    def _ask_for_queue(self, engines: Engines, name: str) -> None:
        """Have the metric ask the engine that serves, and not the one that was made last."""
        queued = self._metrics.queued_tokens.labels(name)
        queued.set_function(lambda: engines[name].scorer.queued_tokens)

    def _show(self, engine: Engine) -> None:
        self._metrics.ensembles.labels(*_info(engine)).set(1)

    def _hide(self, engine: Engine) -> None:
        self._metrics.ensembles.remove(*_info(engine))

    async def _in_background(self, load: Callable[[], Engine]) -> Engine:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(
                1, "streamproc-load", initializer=yield_to_the_event_loop
            )
        return await asyncio.get_running_loop().run_in_executor(self._thread, load)


async def _let_go(old: Engine) -> None:
    """Let the old version finish what it has begun; its memory is free then."""
    spec = old.spec
    await old.drain()
    del old
    malloc_trim()
    log.info("version let go", ensemble=spec.name, version=spec.version)


def _info(engine: Engine) -> tuple[str, str, str, str]:
    spec = engine.spec
    return spec.name, engine.task.name, spec.version, spec.digest
