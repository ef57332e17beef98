"""Outcomes that are kept for who comes back: by an id, or by an Idempotency-Key."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from streamproc.clock import Clock
from streamproc.web.gateway.problems import GatewayProblem, Outcome

ENTRY_BYTES: Final = 2048
"""What an outcome takes beside its body, about."""
Scope = tuple[str, ...]
"""Whose an Idempotency-Key is, where it was used, and the key itself."""


@dataclass(slots=True, eq=False)
class KeptRequest:
    """A request on its way, or its outcome.

    owner: who asked; nobody else is told of it
    done_at_s: when its outcome was there; None: it is on its way
    """

    id: str
    owner: str
    fingerprint: bytes
    work: asyncio.Task[Outcome]
    scope: Scope | None = None
    done_at_s: float | None = None

    async def outcome(self, wait_s: float) -> Outcome | None:
        """What it came to; None where it is still on its way after so long."""
        done, _ = await asyncio.wait({self.work}, timeout=wait_s)
        return self.work.result() if done else None


@dataclass(slots=True)
class KeptRequests:
    """Within bytes and seconds, in memory only: another gateway, or the next one, knows nothing.

    keep_s:     since the outcome was there
    keep_bytes: of outcomes; the oldest go first
    """

    keep_s: float
    keep_bytes: int
    clock: Clock
    _by_id: dict[str, KeptRequest] = field(default_factory=dict)
    _by_scope: dict[Scope, KeptRequest] = field(default_factory=dict)
    # In the order in which they were done.
    _done: dict[str, KeptRequest] = field(default_factory=dict)
    _bytes: int = 0

    def start(
        self,
        work: Coroutine[Any, Any, Outcome],
        *,
        owner: str,
        body: bytes,
        scope: Scope | None = None,
    ) -> KeptRequest:
        """Begin a request whose outcome is kept, under a new id."""
        task = asyncio.create_task(work)
        kept = KeptRequest(uuid.uuid4().hex, owner, _fingerprint(body), task, scope)
        self._by_id[kept.id] = kept
        if scope is not None:
            self._by_scope[scope] = kept
        task.add_done_callback(lambda _: self._finish(kept))
        return kept

    def used(self, scope: Scope, body: bytes) -> KeptRequest | None:
        """The request that an Idempotency-Key was used for; None: it is new.

        Raises GatewayProblem where that was another request.
        """
        self._forget_old()
        kept = self._by_scope.get(scope)
        if kept is not None and kept.fingerprint != _fingerprint(body):
            raise GatewayProblem(
                "key-used-before", "another body came with this key; use a new one for each request"
            )
        return kept

    def find(self, request_id: str, owner: str) -> KeptRequest:
        """The request of that id; raises GatewayProblem where there is none that this one asked."""
        self._forget_old()
        kept = self._by_id.get(request_id)
        if kept is None or kept.owner != owner:
            raise GatewayProblem(
                "unknown-request",
                f"answers are kept for {self.keep_s:g} s, within a bound of memory, by the gateway "
                "that was asked, and not beyond its end",
            )
        return kept

    async def close(self) -> None:
        """Give up what is on its way."""
        tasks = [kept.work for kept in self._by_id.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finish(self, kept: KeptRequest) -> None:
        kept.done_at_s = self.clock.monotonic_s()
        if kept.work.cancelled() or kept.work.exception() is not None:
            self._forget(kept)
            return
        outcome = kept.work.result()
        # Whoever tries again with the same key is to have another try.
        if not outcome.is_final and kept.scope is not None:
            self._by_scope.pop(kept.scope, None)
            kept.scope = None
        self._bytes += _size_bytes(outcome)
        self._done[kept.id] = kept
        self._forget_old()

    def _forget_old(self) -> None:
        now_s = self.clock.monotonic_s()
        while self._done:
            oldest = next(iter(self._done.values()))
            is_old = now_s - (oldest.done_at_s or 0.0) > self.keep_s
            if not is_old and self._bytes <= self.keep_bytes:
                return
            self._forget(oldest)

    def _forget(self, kept: KeptRequest) -> None:
        self._by_id.pop(kept.id, None)
        if kept.scope is not None:
            self._by_scope.pop(kept.scope, None)
        if self._done.pop(kept.id, None) is not None:
            self._bytes -= _size_bytes(kept.work.result())


def _size_bytes(outcome: Outcome) -> int:
    return ENTRY_BYTES + len(outcome.body)


def _fingerprint(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()
