"""Values in a Valkey or Redis that several workers share; while it is away, there are none.

Nobody waits long for it. What is wanted meanwhile is asked for together, in one command; what is
to be kept is handed over later. Where a command fails, it counts as away: it is asked nothing more,
until a probe is answered. Where values are late one after the other, though they come, as on a busy
machine, it is left alone for a moment.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Self, cast

import structlog
from valkey.asyncio import Valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import ResponseError

from streamproc.caching.address import Address
from streamproc.caching.kept import Kept
from streamproc.clock import Clock
from streamproc.metrics import Metrics
from streamproc.settings import Settings

PREFIX: Final = b"streamproc:answer:"
MAX_VALUE_BYTES: Final = 1024 * 1024
"""Larger values are not shared: fetching them would hold up what is wanted beside them."""
MAX_UNWRITTEN_BYTES: Final = 8 * 1024 * 1024
"""Of values that are to be handed over; what comes beyond is not shared."""
PATIENCE_S: Final = 1.0
"""How long a connection or a command may take before it has failed; nobody waits for so long."""
MAX_LATE: Final = 8
"""Values one after the other that may be late before none is asked for during a pause."""
PAUSE_S: Final = 1.0
FIRST_PROBE_S: Final = 0.5
LAST_PROBE_S: Final = 10.0
_BATCH: Final = 64
_STEADY_S: Final = 60.0

log = structlog.get_logger(__name__)


class ValkeyStore:
    """Keeps values under keys for so long as its server has space for them, and `ttl_s` at most."""

    def __init__(
        self, address: Address, *, ttl_s: float, timeout_s: float, clock: Clock, metrics: Metrics
    ) -> None:
        """timeout_s: how long a value may take to come; then there is none"""
        self._address = address
        self._ttl_ms = max(1, round(ttl_s * 1000))
        self._timeout_s = timeout_s
        self._clock = clock
        self._up = metrics.cache_shared_up.labels(str(address))
        self._errors = metrics.cache_shared_errors
        self._client = Valkey(
            **address.for_client(),
            socket_timeout=PATIENCE_S,
            socket_connect_timeout=PATIENCE_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._wanted: deque[tuple[bytes, asyncio.Future[Kept | None]]] = deque()
        self._unwritten: deque[tuple[bytes, bytes]] = deque()
        self._unwritten_bytes = 0
        self._reading: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._away_since_s: float | None = None
        self._back_at_s, self._probe_wait_s = float("-inf"), FIRST_PROBE_S
        self._is_refusing = False
        self._late, self._paused_until_s = 0, float("-inf")

    @classmethod
    def of(cls, settings: Settings, address: Address, clock: Clock, metrics: Metrics) -> Self:
        """As the settings say."""
        return cls(
            address,
            ttl_s=settings.cache_ttl_s,
            timeout_s=settings.cache_timeout_ms / 1000,
            clock=clock,
            metrics=metrics,
        )

    async def start(self) -> None:
        """Find out whether it is there, so that the log says so before the first request comes."""
        failure = await self.failure()
        if failure is None:
            self._up.set(1)
        else:
            self._went_away(failure)

    async def failure(self) -> Exception | None:
        """Why it does not answer; None where it does."""
        try:
            await cast(Awaitable[Any], self._client.ping())
        except Exception as error:  # noqa: BLE001 - whatever it is, work goes on without it
            return error
        return None

    async def get(self, key: bytes) -> Kept | None:
        """What is kept under a key; None also where that can't be had in time. Raises nothing."""
        if self._away_since_s is not None or self._clock.monotonic_s() < self._paused_until_s:
            return None
        found: asyncio.Future[Kept | None] = asyncio.get_running_loop().create_future()
        self._wanted.append((key, found))
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        await asyncio.wait({found}, timeout=self._timeout_s)
        if found.done():
            self._late = 0
            return found.result()
        self._errors.labels("late").inc()
        self._late += 1
        if self._late >= MAX_LATE:
            self._late, self._paused_until_s = 0, self._clock.monotonic_s() + PAUSE_S
        return None

    def put(self, key: bytes, kept: Kept) -> None:
        """Keep a value, some time soon, if that can be done."""
        sealed = kept.sealed(key)
        size = len(sealed)
        if (
            self._away_since_s is not None
            or size > MAX_VALUE_BYTES
            or self._unwritten_bytes + size > MAX_UNWRITTEN_BYTES
        ):
            return
        self._unwritten.append((key, sealed))
        self._unwritten_bytes += size
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    def troubles(self) -> list[str]:
        """Why nothing is shared at present; empty where it is."""
        if self._away_since_s is None:
            return []
        away_s = self._clock.monotonic_s() - self._away_since_s
        said = f"the shared cache at {self._address} has been unavailable for {away_s:.0f} s"
        return [f"{said}: what it keeps is worked out anew"]

    async def close(self) -> None:
        """Hand over what is not yet, where that takes no longer than commands may, and end.

        Raises nothing.
        """
        # What is asked of the server ends by itself, at the latest at its time-out.
        asked = filter(None, (self._reading, self._writing))
        await asyncio.gather(*asked, return_exceptions=True)
        # One of these may have been the first to find it away.
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        with suppress(Exception):
            await self._client.aclose()

    async def _read(self) -> None:
        """Ask for what is wanted, as much at a time as there is, until nothing is."""
        while self._wanted:
            batch = [self._wanted.popleft() for _ in range(min(_BATCH, len(self._wanted)))]
            kept = await self._fetched([key for key, _ in batch])
            for key, found in batch:
                found.set_result(kept.get(key))
            if self._away_since_s is not None:
                for _, found in self._wanted:
                    found.set_result(None)
                self._wanted.clear()

    async def _fetched(self, keys: Sequence[bytes]) -> Mapping[bytes, Kept | None]:
        try:
            values = await cast(Awaitable[Any], self._client.mget([PREFIX + key for key in keys]))
            found = {
                key: Kept.opened(key, value)
                for key, value in zip(keys, values, strict=True)
                if value is not None
            }
        except Exception as error:  # noqa: BLE001 - it costs hits, and nothing else
            self._failed(error)
            return {}
        return found

    async def _write(self) -> None:
        """Hand over what is to be kept, until nothing is left or it can't be done."""
        while self._unwritten:
            batch = [self._unwritten.popleft() for _ in range(min(_BATCH, len(self._unwritten)))]
            self._unwritten_bytes -= sum(len(sealed) for _, sealed in batch)
            commands = self._client.pipeline(transaction=False)
            for key, sealed in batch:
                commands.set(PREFIX + key, sealed, px=self._ttl_ms)
            try:
                self._note_refusals(await commands.execute(raise_on_error=False))
            except Exception as error:  # noqa: BLE001 - it costs hits, and nothing else
                self._failed(error)
                self._unwritten.clear()
                self._unwritten_bytes = 0

    def _note_refusals(self, results: Sequence[object]) -> None:
        """A server that is full, or a replica, refuses to keep more and still gives what it has."""
        refusals = [one for one in results if isinstance(one, ResponseError)]
        if refusals:
            self._errors.labels("refused").inc(len(refusals))
            if not self._is_refusing:
                log.warning(
                    "shared cache keeps nothing more",
                    at=str(self._address),
                    reason=_named(refusals[0]),
                )
        self._is_refusing = bool(refusals)

    def _failed(self, error: Exception) -> None:
        self._errors.labels("failed").inc()
        if self._away_since_s is None:
            self._went_away(error)

    def _went_away(self, error: Exception) -> None:
        self._away_since_s = self._clock.monotonic_s()
        # One that comes and goes is asked, and logged, ever less often.
        if self._away_since_s - self._back_at_s > _STEADY_S:
            self._probe_wait_s = FIRST_PROBE_S
        self._up.set(0)
        log.warning(
            "shared cache unavailable, what it keeps is worked out anew",
            at=str(self._address),
            reason=_named(error),
        )
        self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Ask, at ever longer intervals, whether it is back."""
        while True:
            await self._clock.sleep(self._probe_wait_s)
            self._probe_wait_s = min(2 * self._probe_wait_s, LAST_PROBE_S)
            # The connections there were may be dead, or have an answer on its way to nobody. They
            # are forgotten also where they can't be ended in form, as TLS asks of a dead server.
            with suppress(Exception):
                await self._client.connection_pool.disconnect()
            if await self.failure() is None:
                break
        self._back_at_s = self._clock.monotonic_s()
        away_s = self._back_at_s - (self._away_since_s or 0.0)
        self._away_since_s = None
        self._up.set(1)
        log.info("shared cache is back", at=str(self._address), was_away_s=round(away_s, 1))


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
