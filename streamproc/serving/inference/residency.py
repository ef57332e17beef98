"""Which stages are loaded: as many as a bound lets in, each loaded when it is wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from threading import Condition
from typing import Any, Protocol, TypeVar

from streamproc.errors import ModelRefused
from streamproc.memory_allocator import malloc_trim

MIB = 2**20

Value = TypeVar("Value")
Loaded = TypeVar("Loaded")
Loaded_co = TypeVar("Loaded_co", covariant=True)


class Loadable(Protocol[Loaded_co]):
    """Something that takes memory while it is loaded; equal to itself alone."""

    @property
    def resident_bytes(self) -> int: ...
    def load(self) -> Loaded_co:
        """Load it, in the calling thread; raises StreamprocError."""
        ...


AnyLoadable = Loadable[Any]


@dataclass(slots=True)
class _Slot:
    """loaded: None while a thread is at it, and when it failed

    users: threads that load it, wait for it or use it; used: when one of them left last
    """

    used: int
    loaded: Any = None
    failed: bool = False
    users: int = 0


class Residency:
    """Loads what is asked for, and drops what is in nobody's use when there is no room for it.

    A thread holds one stage at a time and waits for none meanwhile, so that all go on: what is in
    use comes free. Threads are let in as they came, so that nobody waits for ever.
    """

    def __init__(self, bound_bytes: int | None = None) -> None:
        """bound_bytes: what all that are loaded, or being loaded, may take; None: anything."""
        self._bound = bound_bytes
        self._changed = Condition()
        self._slots: dict[AnyLoadable, _Slot] = {}
        self._waiting: deque[object] = deque()
        self._used: dict[AnyLoadable, int] = {}
        self._times = count()
        self.loads = 0
        """How often something was loaded."""

    @property
    def resident_bytes(self) -> int:
        """What all that are loaded, or being loaded, take."""
        with self._changed:
            return self._taken()

    def require_room(self, what: str, largest_bytes: int) -> None:
        """Raise ModelRefused where the bound leaves no room for so much, saying what would."""
        if self._bound is not None and largest_bytes > self._bound:
            raise ModelRefused(
                f"{what}: its largest stage takes {-(-largest_bytes // MIB)} MiB, but "
                f"STREAMPROC_MAX_RESIDENT_MB={self._bound // MIB}; give at least "
                f"{-(-largest_bytes // MIB)}, or split the model into more stages"
            )

    def use(self, wanted: Loadable[Loaded], call: Callable[[Loaded], Value]) -> Value:
        """Call with what `wanted` loads, which is loaded before, and kept as long, if need be.

        The caller keeps no reference to it. Raises what loading raises.
        """
        while True:
            slot, is_first = self._enter(wanted)
            try:
                if is_first:
                    self._load(wanted, slot)
                if self._is_loaded(slot):
                    return call(slot.loaded)
                # The thread that was to load it could not; this one finds out why for itself.
            finally:
                self._leave(wanted, slot)

    def _enter(self, wanted: AnyLoadable) -> tuple[_Slot, bool]:
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is turn and self._let_in(wanted))
                found = self._slots.get(wanted)
                slot = found or self._slots.setdefault(wanted, _Slot(next(self._times)))
                slot.users += 1
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
        return slot, found is None

    def _load(self, wanted: AnyLoadable, slot: _Slot) -> None:
        try:
            loaded = wanted.load()
        except BaseException:
            with self._changed:
                del self._slots[wanted]
                slot.failed = True
                self._changed.notify_all()
            raise
        with self._changed:
            self.loads += 1
            slot.loaded = loaded
            self._changed.notify_all()

    def _is_loaded(self, slot: _Slot) -> bool:
        """Wait until a thread has loaded it, or has failed to."""
        with self._changed:
            self._changed.wait_for(lambda: slot.failed or slot.loaded is not None)
        return not slot.failed

    def _leave(self, wanted: AnyLoadable, slot: _Slot) -> None:
        with self._changed:
            slot.users -= 1
            slot.used = self._used[wanted] = next(self._times)
            self._changed.notify_all()

    def _let_in(self, wanted: AnyLoadable) -> bool:
        """Make room; returns whether there is enough of it."""
        if self._bound is None or wanted in self._slots:
            return True
        while self._taken() + wanted.resident_bytes > self._bound:
            idle = {one: slot.used for one, slot in self._slots.items() if not slot.users}
            if not idle:
                return False
            dropped = self._slots.pop(to_drop(idle, self._used.get(wanted, -1)))
            # The thread that used it last may still be about to forget it.
            dropped.loaded = None
            malloc_trim()
        return True

    def _taken(self) -> int:
        return sum(one.resident_bytes for one in self._slots)


def to_drop(idle: dict[AnyLoadable, int], last_wanted: int) -> AnyLoadable:
    """What to drop: the one that will be wanted again last, as far as the past tells.

    idle: when each that is in nobody's use was used last
    last_wanted: when what is to be loaded was used last; before all else: never

    Stages of a model come in turns. What was not used since the last turn is out of use: the
    oldest of these goes. Otherwise all take part, and the one used last is wanted again last;
    dropping the least recently used would load every stage in every turn.
    """
    out_of_use = [one for one, used in idle.items() if used < last_wanted]
    if out_of_use:
        return min(out_of_use, key=idle.__getitem__)
    return max(idle, key=idle.__getitem__)
