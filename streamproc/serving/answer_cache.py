"""Answers kept for requests that ask the same, and asked once for those that do so together.

A key is a digest of all that an answer depends on: the task, the ensemble's manifest, which names
every file of it by digest, the request's own fields and parameters, and what the last bits of a
model's outputs depend on. So nothing that is kept ever becomes wrong, and a new version of an
ensemble has keys of its own. What belongs to the request alone (id, metadata, deadline, warnings,
timing) is no part of an answer, and not kept.

Kept is only what asking again must come to: no failure, no answer that lacks a member, no text
that is drawn by lot without a seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import astuple, dataclass, replace
from functools import partial
from typing import Final, Literal, Protocol

import orjson

from streamproc.caching.kept import Kept
from streamproc.caching.single_flight import SingleFlight
from streamproc.clock import Clock, Timed
from streamproc.messages.lane import Lane
from streamproc.messages.request import Request
from streamproc.messages.response import Coverage, MemberReport, Usage
from streamproc.metrics import Metrics
from streamproc.profile import Profile
from streamproc.serving.engine import Engine
from streamproc.serving.tasks.task import Answer

FORMAT: Final = 2
"""Of keys and values; another one makes all that is kept unknown."""
# How an answer goes out, which is not what it says.
_OF_DELIVERY: Final = frozenset({"stream"})

Outcome = Literal["memory", "shared", "joined", "miss", "passed"]
Ask = Callable[[], Awaitable[Timed[Answer]]]
"""Works an answer out."""


class Memory(Protocol):
    """What keeps values in this process."""

    def get(self, key: bytes) -> Kept | None:
        """What is kept under a key, if anything is."""
        ...

    def put(self, key: bytes, kept: Kept) -> None:
        """Keep a value, where there is space for it."""
        ...


class Shared(Protocol):
    """What keeps values for all workers, and raises nothing when it can't."""

    async def get(self, key: bytes) -> Kept | None:
        """What is kept under a key, if that can be had in time."""
        ...

    def put(self, key: bytes, kept: Kept) -> None:
        """Keep a value, some time soon, if that can be done."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """An answer, and where it came from."""

    answered: Timed[Answer]
    outcome: Outcome

    @property
    def is_own(self) -> bool:
        """Whether models were asked for this very request."""
        return self.outcome in {"miss", "passed"}


@dataclass(frozen=True, slots=True)
class _Flight:
    """What one call brought: for who made it, and for those who waited. kept: None: not for them"""

    found: Found
    kept: Kept | None


class AnswerCache:
    """Of one task; what is kept, and where, is shared with those of other tasks."""

    def __init__(
        self,
        task: str,
        *,
        numerics: str,
        memory: Memory | None,
        shared: Shared | None,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """numerics: versions and kind of device, which decide about the last bits of an answer"""
        self._numerics = numerics
        self._memory = memory
        self._shared = shared
        self._clock = clock
        self._flights: SingleFlight[_Flight] = SingleFlight()
        self._ages = metrics.cache_age_seconds.labels(task)
        outcomes: tuple[Outcome, ...] = ("memory", "shared", "joined", "miss", "passed")
        # There from the start, so that a rate has something to start from.
        self._counts = {name: metrics.cache_requests.labels(task, name) for name in outcomes}

    def key(self, engine: Engine, request: Request, profile: Profile = "full") -> bytes | None:
        """The digest of all that a valid request's answer depends on; None: it can't be made."""
        inputs = {
            name: request.inputs[name]
            for name in engine.task.inputs.model_fields
            if name in request.inputs
        }
        params = {name: value for name, value in request.params.items() if name not in _OF_DELIVERY}
        by = engine.task.name, engine.spec.digest, profile
        asked = (FORMAT, self._numerics, *by, inputs, params)
        try:
            return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).digest()
        except TypeError:
            # Asked by a program, in what JSON does not have.
            return None

    async def answer(
        self, key: bytes, lane: Lane, ask: Ask, *, joins: bool = True, ensemble: str = ""
    ) -> Found:
        """The answer that is kept, or comes of an equal request under way, or of asking.

        Requests wait only for those of their own lane: one in the bulk lane may wait long.
        joins: whether it may wait for another request; one that shows its text while it is written
            has to write it
        ensemble: the one that was asked; requests wait only for those that asked the same one, as
            an arm of an experiment that is at fault gives way to it, and what was asked does not
        Raises what asking raises.
        """
        kept = None if self._memory is None else self._memory.get(key)
        found = self._opened(kept, "memory")
        if found is not None:
            return found
        call = partial(self._look_up_or_ask, key, ask)
        if not joins:
            return (await call()).found
        flight, is_joined = await self._flights.ask((key, lane, ensemble), call, _may_share)
        if not is_joined:
            return flight.found
        # Decoded once more, so that no two requests hold the same objects.
        return self._opened(flight.kept, "joined") or (await call()).found

    async def pass_by(self, ask: Ask) -> Found:
        """Ask, as the answer must not be kept."""
        self._counts["passed"].inc()
        return Found(await ask(), "passed")

    async def _look_up_or_ask(self, key: bytes, ask: Ask) -> _Flight:
        if self._shared is not None:
            kept = await self._shared.get(key)
            found = self._opened(kept, "shared")
            if kept is not None and found is not None:
                if self._memory is not None:
                    self._memory.put(key, kept)
                return _Flight(found, kept)
        self._counts["miss"].inc()
        answered = await ask()
        kept = self._keep(key, answered.result)
        return _Flight(Found(answered, "miss"), kept)

    def _keep(self, key: bytes, answer: Answer) -> Kept | None:
        """Keep an answer where no member failed, and JSON brings it back as it is."""
        # How many members a brown-out asks is no part of a key, and lasts for moments.
        if not answer.is_complete or answer.profile == "brown-out":
            return None
        # What members chose was noted as they answered; it is no part of a response.
        answer = replace(answer, choices=None)
        value = encoded(answer)
        if value is None or decoded(value) != answer:
            return None
        kept = Kept(value, self._clock.now_ms())
        if self._memory is not None:
            self._memory.put(key, kept)
        if self._shared is not None:
            self._shared.put(key, kept)
        return kept

    def _opened(self, kept: Kept | None, outcome: Outcome) -> Found | None:
        answer = None if kept is None else decoded(kept.value)
        if kept is None or answer is None:
            return None
        self._counts[outcome].inc()
        if outcome != "joined":
            self._ages.observe(max(0, self._clock.now_ms() - kept.made_ms) / 1000)
        return Found(Timed(answer, 0.0, 0.0), outcome)


def _may_share(flight: _Flight) -> bool:
    return flight.kept is not None


def encoded(answer: Answer) -> bytes | None:
    """An answer as JSON; None where it is no JSON."""
    members = [
        (member.name, member.version, member.status, member.result) for member in answer.members
    ]
    coverage = astuple(answer.coverage)
    usage = None if answer.usage is None else astuple(answer.usage)
    try:
        return orjson.dumps(
            (
                answer.result,
                members,
                answer.agreement,
                answer.entropy,
                coverage,
                usage,
                answer.profile,
            )
        )
    except TypeError:
        return None


def decoded(value: bytes) -> Answer | None:
    """The answer again; None where these bytes are none."""
    try:
        result, members, agreement, entropy, coverage, usage, profile = orjson.loads(value)
        return Answer(
            result,
            tuple(MemberReport(*member) for member in members),
            agreement,
            entropy,
            Coverage(*coverage),
            usage=None if usage is None else Usage(*usage),
            profile=profile,
        )
    except (ValueError, TypeError):
        return None
