"""A text put together of its parts, as they come by a topic, and of the response behind them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from streamproc.messages.parts import PART, Part
from streamproc.messages.record import Headers

TEXTS: Final[Mapping[str, str]] = {
    "text-generation": "generated_text",
    "translation": "translation_text",
    "summarization": "summary_text",
}
"""The tasks that write, and take `params.stream`, with the field of a result that has the text."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """What to show next.

    replaces: all that was shown is void, and this is the text; of two attempts to answer, as after
        a worker died, the last one came to another text than the first had begun
    """

    text: str
    replaces: bool = False


class PartReader:
    """Follows one request's parts, of any number of attempts, which may come mixed, and twice.

    What was shown stays, and goes on with whichever attempt is further and begins with it; the same
    request gets the same text, so that all do, but where members failed, or models were changed
    meanwhile. Then the response decides.
    """

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._characters = 0
        self._attempts: defaultdict[str, _Attempt] = defaultdict(_Attempt)

    def take(self, part: Part) -> str:
        """What is to be shown now; empty where the part tells nothing new."""
        attempt, text = self._attempts[part.attempt], part.text
        # One that was lost ends its attempt, and one that comes twice tells nothing.
        if attempt.strays or part.sequence != attempt.parts:
            return ""
        known = ""
        if attempt.characters < self._characters:
            known = "".join(self._shown)[attempt.characters :][: len(text)]
        attempt.parts += 1
        attempt.characters += len(text)
        attempt.strays = not text.startswith(known)
        if attempt.strays:
            return ""
        new = text[len(known) :]
        self._shown.append(new)
        self._characters += len(new)
        return new

    def end(self, text: str) -> TextPart | None:
        """What is to be shown with the response, which has the whole text; None: it was shown."""
        if not text.startswith("".join(self._shown)):
            return TextPart(text, replaces=True)
        rest = text[self._characters :]
        return TextPart(rest) if rest else None


@dataclass(slots=True)
class _Attempt:
    """How far one attempt has come; strays: it writes something else than was shown."""

    parts: int = 0
    characters: int = 0
    strays: bool = False


def is_part(headers: Headers) -> bool:
    """Whether a record is a part of an answer, and not the response."""
    return any(name == PART for name, _ in headers)


def part_of(fields: Mapping[str, Any]) -> Part:
    """The part that a record of one holds; raises KeyError and TypeError where it holds none."""
    return Part(str(fields["attempt"]), int(fields["sequence"]), str(fields["text"]))


def text_of(response: Mapping[str, Any]) -> str:
    """The text that a response of a task that writes has; empty where it has none."""
    result = response.get("result") or {}
    return str(result.get(TEXTS.get(response.get("task", ""), ""), ""))
