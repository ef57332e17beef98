"""Which stages are loaded: as many as a bound lets in, each loaded when it is wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from threading import Condition
from typing import Any, Protocol, TypeVar

from streamproc.errors import ModelRefused
from streamproc.serving.inference.malloc_trim import give_back_freed

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
class _Place:
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
        self._places: dict[AnyLoadable, _Place] = {}
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
            place, is_first = self._enter(wanted)
            try:
                if is_first:
                    self._load(wanted, place)
                if self._is_loaded(place):
                    return call(place.loaded)
                # The thread that was to load it could not; this one finds out why for itself.
            finally:
                self._leave(wanted, place)

    def _enter(self, wanted: AnyLoadable) -> tuple[_Place, bool]:
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is turn and self._let_in(wanted))
                found = self._places.get(wanted)
                place = found or self._places.setdefault(wanted, _Place(next(self._times)))
                place.users += 1
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
        return place, found is None

    def _load(self, wanted: AnyLoadable, place: _Place) -> None:
        try:
            loaded = wanted.load()
        except BaseException:
            with self._changed:
                del self._places[wanted]
                place.failed = True
                self._changed.notify_all()
            raise
        with self._changed:
            self.loads += 1
            place.loaded = loaded
            self._changed.notify_all()

    def _is_loaded(self, place: _Place) -> bool:
        """Wait until a thread has loaded it, or has failed to."""
        with self._changed:
            self._changed.wait_for(lambda: place.failed or place.loaded is not None)
        return not place.failed

    def _leave(self, wanted: AnyLoadable, place: _Place) -> None:
        with self._changed:
            place.users -= 1
            place.used = self._used[wanted] = next(self._times)
            self._changed.notify_all()

    def _let_in(self, wanted: AnyLoadable) -> bool:
        """Make room; returns whether there is enough of it."""
        if self._bound is None or wanted in self._places:
            return True
        while self._taken() + wanted.resident_bytes > self._bound:
            idle = {one: place.used for one, place in self._places.items() if not place.users}
            if not idle:
                return False
            dropped = self._places.pop(to_drop(idle, self._used.get(wanted, -1)))
            # The thread that used it last may still be about to forget it.
            dropped.loaded = None
            give_back_freed()
        return True

    def _taken(self) -> int:
        return sum(one.resident_bytes for one in self._places)


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
