"""When requests are sent in open loop: whether earlier ones are answered plays no part in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from streamproc.messages.lane import Lane

# Numbers are drawn so many at a time, as one at a time costs more than the request that it is for.
_DRAWN_AT_ONCE: Final = 512


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that is to be sent.

    at_s: seconds after the first moment
    characters, task, lane: as a trace has them; None: the mix says
    """

    at_s: float
    characters: int | None = None
    task: str | None = None
    lane: Lane | None = None


class Arrivals(Protocol):
    """A process of arrivals, at whatever rate it is asked for."""

    @property
    def title(self) -> str:
        """What it is, for a report."""
        ...

    def at_rate(self, rate_per_s: float, rng: np.random.Generator) -> Iterator[Arrival]:
        """Arrivals in the order of their times, with or without an end.

        rate_per_s: their mean over a long time
        """
        ...

    def lasts_s(self, rate_per_s: float) -> float:
        """Seconds until there are no more; infinite where they have no end."""
        ...


class _Endless:
    __slots__ = ()

    def lasts_s(self, rate_per_s: float) -> float:
        return math.inf


@dataclass(frozen=True, slots=True)
class Poisson(_Endless):
    """Many users who know nothing of each other: gaps are exponential."""

    title: str = "Poisson arrivals"

    def at_rate(self, rate_per_s: float, rng: np.random.Generator) -> Iterator[Arrival]:
        for at_s in _poisson_times_s(rate_per_s, rng):
            yield Arrival(at_s)


@dataclass(frozen=True, slots=True)
class Bursts(_Endless):
    """So many requests at the same moment, as of a page with many parts; moments are Poisson.

    size: requests of a burst, at least 1
    """

    size: int

    @property
    def title(self) -> str:
        return f"bursts of {self.size} at Poisson times"

    def at_rate(self, rate_per_s: float, rng: np.random.Generator) -> Iterator[Arrival]:
        for at_s in _poisson_times_s(rate_per_s / self.size, rng):
            for _ in range(self.size):
                yield Arrival(at_s)


@dataclass(frozen=True, slots=True)
class Even(_Endless):
    """One after another in equal distances, which no crowd of users does."""

    title: str = "even arrivals"

    def at_rate(self, rate_per_s: float, rng: np.random.Generator) -> Iterator[Arrival]:
        number = 0
        while True:
            yield Arrival(number / rate_per_s)
            number += 1


@dataclass(frozen=True, slots=True)
class Replayed:
    """The arrivals of a recorded trace, slower or faster: gaps are stretched, and nothing else.

    recorded: in the order of their times, two at least, the first at 0 and the last later
    """

    recorded: Sequence[Arrival]

    @property
    def title(self) -> str:
        return f"a recorded trace of {len(self.recorded):,} requests"

    @property
    def rate_per_s(self) -> float:
        """Of the recording: its requests by the gaps between them."""
        return (len(self.recorded) - 1) / self.recorded[-1].at_s

    def lasts_s(self, rate_per_s: float) -> float:
        """One more gap follows its last request."""
        return len(self.recorded) / rate_per_s

    def at_rate(self, rate_per_s: float, rng: np.random.Generator) -> Iterator[Arrival]:
        stretched = self.rate_per_s / rate_per_s
        for one in self.recorded:
            yield Arrival(one.at_s * stretched, one.characters, one.task, one.lane)


def _poisson_times_s(rate_per_s: float, rng: np.random.Generator) -> Iterator[float]:
    at_s = 0.0
    while True:
        for gap_s in rng.exponential(1 / rate_per_s, _DRAWN_AT_ONCE):
            at_s += float(gap_s)
            yield at_s
