"""The attempt ledger: what a worker leaves beside a committed offset, for the next to read.

A request that ends the process leaves no trace of its own. So the mark beside the offset says
whether somebody is at work here, and on which records; a mark that was not taken back tells the
next owner that his predecessor died, and where to be careful. No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

VERSION: Final = 1
QUANTUM: Final = 1024
"""Marks say in steps of so many how far records were taken, to be written that much less often."""

SLACK: Final = 1024
"""Records that may have been taken beyond what the last mark says."""

ALONE_DEATHS: Final = 2
"""Times that the process has to die with a record, and nothing else, in its hands."""

MOST_ALONE_DEATHS: Final = 5
"""The same where the process also dies of something else."""

MAX_GIVEN_UP: Final = 3
"""Records given up on one after another: a process that dies of each is itself what is wrong."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is kept with the committed offset of a topic-partition.

    running:   somebody took records here and has not said that he stopped
    taken:     no record from this offset on was taken, give or take `SLACK`; in normal running only
    deaths:    of processes, since records here came under suspicion
    end:       records below are suspects, run in groups; 0: none are
    single:    records below are run one at a time; 0: none are
    group:     first and last of those being run while there are suspects
    alone:     nothing else ran in the process beside `group`
    suspect:   a record that was alone when the process died, `alone_deaths` times
    given_up:  records given up on since one was last finished
    killed:    deaths before that no record was found to be the cause of, one less with every
               `QUANTUM` records since
    """

    running: bool = False
    taken: int = 0
    deaths: int = 0
    end: int = 0
    single: int = 0
    group: tuple[int, int] | None = None
    alone: bool = False
    suspect: int | None = None
    alone_deaths: int = 0
    given_up: int = 0
    killed: int = 0

    @property
    def is_proved(self) -> bool:
        """Whether the process dies of `suspect`, and not of whatever else kills it.

        One that is to blame dies twice in company, and from then on alone. Where there were more
        deaths than that, something else kills the process too, and may have hit it while the
        suspect was alone: then that has to have been alone at as many deaths as it was not.
        """
        others = self.killed + self.deaths - self.alone_deaths
        return self.alone_deaths >= min(max(others, ALONE_DEATHS), MOST_ALONE_DEATHS)

    def encode(self) -> str:
        """As it is stored: JSON, a letter a field, what says nothing left out."""
        fields = {letter: getattr(self, name) for name, letter in _LETTERS.items()}
        told = {letter: value for letter, value in fields.items() if value}
        if self.suspect == 0:
            told[_LETTERS["suspect"]] = 0
        return orjson.dumps({"v": VERSION, **told}).decode()

    @classmethod
    def decode(cls, text: str) -> Mark:
        """What `encode` wrote; a mark that says nothing for all else, as others commit too."""
        try:
            found: Any = orjson.loads(text)
            if found["v"] != VERSION:
                return cls()
            known = {name: found[letter] for name, letter in _LETTERS.items() if letter in found}
            if "group" in known:
                first, last = known["group"]
                known["group"] = (int(first), int(last))
            return cls(**known)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return cls()


_LETTERS: Final = {
    "running": "r",
    "taken": "t",
    "deaths": "d",
    "end": "e",
    "single": "s",
    "group": "g",
    "alone": "a",
    "suspect": "p",
    "alone_deaths": "n",
    "given_up": "x",
    "killed": "k",
}


def inherit(left: Mark, committed: int) -> Mark:
    """What the next owner of a topic-partition begins with.

    left: as it stands beside the offset that is committed
    """
    kept = replace(left, running=False, group=None, alone=False)
    if left.end <= committed:
        if not left.running:
            return Mark(given_up=left.given_up, killed=left.killed)
        # Whatever had been taken may be what the process died of.
        end = max(left.taken, committed) + SLACK
        return Mark(deaths=1, end=end, given_up=left.given_up, killed=left.killed)
    if not left.running or left.group is None or left.group[1] < committed:
        # Handed over in order, or died while none of the suspects here was being run.
        return kept
    first, last = left.group
    died = replace(kept, deaths=left.deaths + 1, single=max(left.single, last + 1))
    if first < last or not left.alone:
        return died
    before = left.alone_deaths if left.suspect == first else 0
    return replace(died, suspect=first, alone_deaths=before + 1)
