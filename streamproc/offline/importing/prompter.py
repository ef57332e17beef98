"""What a model does not tell, and somebody has to."""

from __future__ import annotations

from typing import Protocol


class Prompter(Protocol):
    """Whoever is asked: a person at a terminal, or nobody."""

    def ask(self, question: str, flag: str) -> str:
        """The answer, as `flag` would have given it; raises SettingsError where nobody is there."""
        ...
