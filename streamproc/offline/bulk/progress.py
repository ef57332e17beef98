"""How far a pile of rows is answered, in a line or two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BulkProgress:
    """Rows read and answered so far.

    share_read: of the input, 0 to 1, which tells how many rows there are; None: it can't be told
    before:     answers that were there from a run before, and say nothing of how fast this one is
    tokens:     that models have read and written; None where they run elsewhere
    characters: of the texts that were answered, by this run
    errors:     by type
    written:    rows of the output, which are written once all are answered; None before that
    taken_up:   answers of a run before that were looked at, which is done before any row is read
    """

    answered: int
    read: int
    share_read: float | None
    before: int = 0
    tokens: int | None = None
    characters: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    written: int | None = None
    taken_up: int = 0

    @property
    def total(self) -> int | None:
        """Rows of the whole input: about as many as what was read of it says."""
        if self.share_read == 1:
            return self.read
        if not self.read:
            return None
        return round(self.read / self.share_read) if self.share_read else None

    @property
    def done(self) -> int:
        """Rows that are done with, of `total`."""
        return self.answered if self.written is None else self.written

    def line(self, seconds: float) -> str:
        """So far in a line, `seconds` after the beginning."""
        if self.other_work:
            return self.other_work
        words = [f"{self.count()} answered", *self.speeds(seconds)]
        left = self.time_left(seconds)
        if left:
            words.append(f"{left} left")
        if self.errors:
            words.append(f"errors: {self.told_errors()}")
        return ", ".join(words)

    @property
    def other_work(self) -> str:
        """What is done before any row is asked, and after all are answered; else ""."""
        if self.written is not None:
            return f"writing the answers: {self.written:,} of {self.answered:,}"
        if self.taken_up and not self.read:
            return f"taking up the answers of a run before: {self.taken_up:,}"
        return ""

    def count(self) -> str:
        """Of how many rows how many are answered."""
        if self.total is None:
            return f"{self.answered:,}"
        return f"{self.answered:,} of {'' if self.share_read == 1 else 'about '}{self.total:,}"

    def speeds(self, seconds: float) -> list[str]:
        """Rows, and tokens or else characters, for each second or minute since the beginning."""
        rate = self._rate(seconds)
        if not rate:
            return []
        words = [f"{rate:,.0f} a second" if rate >= 1 else f"{rate * 60:.0f} a minute"]
        if self.tokens:
            words.append(f"{self.tokens / seconds:,.0f} tokens a second")
        elif self.characters:
            words.append(f"{self.characters / seconds:,.0f} characters a second")
        return words

    def time_left(self, seconds: float) -> str:
        """How long the rest takes, if it goes on like this; "" where that can't be told."""
        rate = self._rate(seconds)
        if not rate or self.total is None or self.total <= self.answered:
            return ""
        return told_duration((self.total - self.answered) / rate)

    def told_errors(self) -> str:
        """The errors by type."""
        return ", ".join(f"{count:,} {kind}" for kind, count in self.errors.items())

    def _rate(self, seconds: float) -> float:
        return (self.answered - self.before) / seconds if seconds > 0 else 0


def told_duration(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
