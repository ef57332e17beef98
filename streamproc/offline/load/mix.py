"""What is asked: tasks and lanes by weight, texts, and how long they are."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np

from streamproc.did_you_mean import there_are
from streamproc.errors import SettingsError
from streamproc.messages.lane import Lane
from streamproc.offline.load.arrivals import Arrival
from streamproc.serving.tasks.catalogue import task_named

Choice = TypeVar("Choice")
_LANES: Final = {lane.name.lower(): lane for lane in Lane}
QUESTION: Final = "What is this about?"
"""What is asked of a text that comes without a question."""


class Kind(NamedTuple):
    """What requests may differ in; each kind has a connection of its own."""

    task: str
    lane: Lane

    @property
    def title(self) -> str:
        """As status shows it."""
        return self.task if self.lane is Lane.INTERACTIVE else f"{self.task} bulk"


class Text(NamedTuple):
    """A text to ask about; question: of question-answering"""

    text: str
    question: str = QUESTION


class Question(NamedTuple):
    """A request that is to be sent: its kind, and its fields."""

    kind: Kind
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Weighted(Generic[Choice]):
    """Things to choose among by weight.

    shares: running, the last of them 1
    """

    choices: Sequence[Choice]
    shares: Sequence[float]

    @classmethod
    def of(cls, choices: Mapping[Choice, float]) -> Weighted[Choice]:
        """choices: with weights above 0"""
        running = np.cumsum(list(choices.values()))
        return cls(list(choices), [float(one) for one in running / running[-1]])

    def draw(self, rng: np.random.Generator) -> Choice:
        """One of them."""
        place = int(np.searchsorted(self.shares, rng.random(), side="right"))
        return self.choices[min(place, len(self.choices) - 1)]


def lane_named(name: str) -> Lane:
    """The lane of that name; raises SettingsError naming those there are."""
    if name not in _LANES:
        raise SettingsError(f"no lane {name!r}; {there_are(name, _LANES)}")
    return _LANES[name]


def parse_mix(written: Collection[str]) -> Weighted[Kind]:
    """Kinds of requests as they are written: TASK, TASK/LANE, each with =WEIGHT or without.

    Raises SettingsError.
    """
    weights: dict[Kind, float] = {}
    for one in written:
        name, weight = _with_weight(one, "TASK[/LANE]")
        task, slash, lane = name.partition("/")
        try:
            kind = Kind(task_named(task).name, lane_named(lane) if slash else Lane.INTERACTIVE)
        except SettingsError as error:
            raise SettingsError(f"{one!r}: {error}") from None
        weights[kind] = weights.get(kind, 0.0) + weight
    return Weighted.of(weights)


def parse_lengths(written: Collection[str]) -> Weighted[int]:
    """Lengths of texts in characters, each with =WEIGHT or without; raises SettingsError."""
    weights: dict[int, float] = {}
    for one in written:
        name, weight = _with_weight(one, "CHARACTERS")
        if not (name.isascii() and name.isdecimal() and 1 <= int(name) <= 10_000_000):
            raise SettingsError(f"{one!r}: a length is a whole number of characters, as 400")
        weights[int(name)] = weights.get(int(name), 0.0) + weight
    return Weighted.of(weights)


def _with_weight(written: str, what: str) -> tuple[str, float]:
    name, equals, weight = written.partition("=")
    try:
        found = float(weight) if equals else 1.0
    except ValueError:
        found = math.nan
    if not (0 < found < math.inf):
        raise SettingsError(f"{written!r}: write {what}=WEIGHT, with a weight above 0, as =3")
    return name, found


@dataclass(frozen=True, slots=True)
class Mix:
    """Draws requests.

    texts:   at least one, none of them empty
    lengths: in characters; None: texts are sent as they are
    ensemble: that every request names; None: the topic's default
    """

    kinds: Weighted[Kind]
    texts: Sequence[Text]
    lengths: Weighted[int] | None = None
    ensemble: str | None = None

    def draw(self, rng: np.random.Generator, arrival: Arrival | None = None) -> Question:
        """The next request; arrival: what of it is already known"""
        kind = self.kinds.draw(rng)
        characters = self.lengths.draw(rng) if self.lengths is not None else None
        place = int(rng.integers(len(self.texts)))
        if arrival is not None:
            lane = kind.lane if arrival.lane is None else arrival.lane
            kind = Kind(arrival.task or kind.task, lane)
            characters = arrival.characters or characters
        text = self.texts[place].text if characters is None else self._long(place, characters)
        return Question(kind, self._body(kind.task, text, self.texts[place].question))

    def _long(self, place: int, characters: int) -> str:
        """A text of exactly that length, of those from `place` on, one after another."""
        parts: list[str] = []
        length = 0
        for number in count(place):
            part = self.texts[number % len(self.texts)].text
            parts.append(part)
            length += len(part) + 1
            if length > characters:
                # No blank at the end: it would not be a text of that length to a tokenizer.
                cut = "\n".join(parts)[:characters]
                return cut if not cut[-1:].isspace() else f"{cut[:-1]}."
        raise AssertionError("unreachable: texts are not empty")

    def _body(self, task: str, text: str, question: str) -> Mapping[str, Any]:
        body: dict[str, Any] = {} if self.ensemble is None else {"ensemble": self.ensemble}
        if "question" in task_named(task).inputs.model_fields:
            return {**body, "question": question, "context": text}
        return {**body, "text": text}
