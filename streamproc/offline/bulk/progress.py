"""How far a pile of rows is answered, in a line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BulkProgress:
    """Rows read and answered so far.

    share_read: of the file, 0 to 1, which tells how many rows there are; None: it can't be told
    before:     answers that were there from a run before, and say nothing of how fast this one is
    """

    answered: int
    read: int
    share_read: float | None
    before: int = 0

    @property
    def total(self) -> int | None:
        """Rows of the whole file: about as many as what was read of it says."""
        if self.share_read == 1:
            return self.read
        return round(self.read / self.share_read) if self.share_read else None

    def line(self, seconds: float) -> str:
        """So far in a line, `seconds` after the beginning."""
        of = ""
        if self.total is not None:
            of = f" of {'' if self.share_read == 1 else 'about '}{self.total:,}"
        rate = (self.answered - self.before) / seconds if seconds > 0 else 0
        words = [f"{self.answered:,}{of} answered"]
        if rate:
            words.append(f"{rate:,.0f} a second" if rate >= 1 else f"{rate * 60:.0f} a minute")
            if self.total is not None and self.total > self.answered:
                words.append(f"{_duration((self.total - self.answered) / rate)} left")
        return ", ".join(words)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
