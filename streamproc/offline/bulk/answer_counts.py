"""What became of the rows of a file, in a few lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

# Reasons told apart; a million rows may have as many. Those that differ by a number alone, as a
# line's, are one.
_MAX_REASONS = 1_000
_NUMBER = re.compile(r"\d+")
_SHOWN_CHARACTERS = 300
_SHOWN_REASONS = 10


@dataclass(slots=True)
class AnswerCounts:
    """Counts of answers, and of errors by type and reason; two threads may count.

    new: answers of this run; kept: of a run before
    characters: of the texts that those of this run are about
    """

    new: int = 0
    characters: int = 0
    kept: int = 0
    new_partial: int = 0
    kept_partial: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    _reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    _first: dict[tuple[str, str], str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @property
    def answered(self) -> int:
        """Of both."""
        return self.new + self.kept

    def add(self, response: Mapping[str, Any]) -> None:
        """Count an answer."""
        with self._lock:
            self.new += 1
            self.new_partial += response["status"] == "partial"
            self.characters += response.get("coverage", {}).get("characters", 0)
            self._count_error(response)

    def keep(self, response: Mapping[str, Any]) -> None:
        """Count an answer of a run before."""
        with self._lock:
            self.kept += 1
            self.kept_partial += response["status"] == "partial"
            self._count_error(response)

    def by_type(self) -> dict[str, int]:
        """The errors so far, the most frequent type first."""
        with self._lock:
            return dict(self.errors.most_common())

    def lines(self) -> Iterator[str]:
        """The counts, then for each type of error how many, and the reasons, the commonest first.

        A reason that all rows share is told as such: it is likely the command's, not the rows'.
        """
        failed, partial = self.errors.total(), self.new_partial + self.kept_partial
        before = f", {self.kept:,} of them by a run before" if self.kept else ""
        yield (
            f"{self.answered:,} answered{before}, {partial:,} of them partial, {failed:,} errors"
        )
        for kind, count in self.errors.most_common():
            of_kind = Counter({at: n for at, n in self._reasons.items() if at[0] == kind})
            shown = [(n, self._first[at]) for at, n in of_kind.most_common(_SHOWN_REASONS)]
            most, said = shown[0] if shown else (0, "")
            if most == self.answered:
                yield f"{most:,} of {self.answered:,}: {kind}: {said}"
            elif most == count:
                yield f"  {count:,} {kind}: {said}"
            else:
                yield f"  {count:,} {kind}:"
                yield from (f"    {n:,}: {said}" for n, said in shown)
                if others := count - sum(n for n, _ in shown):
                    yield f"    {others:,} for other reasons, each told in its answer"

    def _count_error(self, response: Mapping[str, Any]) -> None:
        if response["status"] != "error":
            return
        error = response.get("error") or {}
        kind = str(error.get("type"))
        self.errors[kind] += 1
        told = f"{error.get('title')}: {error.get('detail')}"[:_SHOWN_CHARACTERS]
        reason = kind, _NUMBER.sub("#", told)
        if reason in self._reasons or len(self._reasons) < _MAX_REASONS:
            self._reasons[reason] += 1
            self._first.setdefault(reason, told)
