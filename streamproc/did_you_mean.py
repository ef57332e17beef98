"""The name that was probably meant, for an error or a warning to ask "did you mean ...?"."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import SequenceMatcher
from typing import Final

_LIKENESS: Final = 0.75
_MAX_COMPARED_CHARACTERS: Final = 64


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be, for an error to ask; None: like none.

    Capitals and what words are joined with don't count. Names of fewer than four letters are like
    too many others, and must be the same but for that.
    """
    if len(name) > _MAX_COMPARED_CHARACTERS:
        return None
    best, best_likeness = None, _LIKENESS
    for candidate in known:
        asked, there = _letters(name), _letters(candidate)
        likeness = SequenceMatcher(None, asked, there).ratio() if len(there) > 3 else 0.0
        likeness = 1.0 if asked == there else likeness
        if likeness >= best_likeness:
            best, best_likeness = candidate, likeness
    return best


def there_are(name: str, known: Collection[str]) -> str:
    """What there is instead of `name`, the closest first asked for: the end of an error."""
    meant = closest(name, known)
    there = f"here are: {', '.join(known) or 'none'}"
    return f"did you mean {meant!r}? T{there}" if meant else f"t{there}"


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
