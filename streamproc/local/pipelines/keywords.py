"""The keywords of a pipeline: which are taken, which change nothing here, which are refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

# A value may be a tokenizer, which says all of itself.
from reprlib import repr as shown
from typing import Any, Final

from streamproc.did_you_mean import closest
from streamproc.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Taken:
    """One that is taken; as: the name it has here, where that is another."""

    as_name: str | None = None
    convert: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class NoEffect:
    """One that says how transformers goes about it, and changes no answer here."""


@dataclass(frozen=True, slots=True)
class Only:
    """One that may say what holds here anyway, and nothing else.

    values: what it may be; why: the rest of the sentence that refuses anything else
    """

    values: tuple[Any, ...]
    why: str

    def require(self, name: str, value: Any) -> None:
        """Raises SettingsError where it says anything else."""
        # torch.float32 is what "float32" is.
        said = str(value).removeprefix("torch.")
        if not any(value is one or one in (value, said) for one in self.values):
            raise SettingsError(f"{name}={shown(value)}: {self.why}")


Keyword = Taken | NoEffect | Only

TAKEN: Final = Taken()
NO_EFFECT: Final = NoEffect()

EVERY_PIPELINE: Final[Mapping[str, Keyword]] = {
    "batch_size": TAKEN,
    "num_workers": NO_EFFECT,
    "padding": NO_EFFECT,
}


def whole(name: str, value: Any, least: int) -> int:
    """The whole number that a keyword is; raises SettingsError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingsError(f"{name}={shown(value)}: must be a whole number of at least {least}")
    return value


def truncates(truncation: Any) -> bool:
    """Whether a value of transformers' `truncation` asks for it."""
    return truncation not in (False, None, "do_not_truncate")


class Keywords:
    """Those of one task: transformers', by name, and those that are streamproc's own params."""

    def __init__(self, task: str, theirs: Mapping[str, Keyword], ours: Collection[str]) -> None:
        self._task = task
        self._known: dict[str, Keyword] = {
            **dict.fromkeys(ours, TAKEN),
            **EVERY_PIPELINE,
            **theirs,
        }

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What was given and counts, under the names it has here.

        Raises SettingsError naming the keyword that is refused.
        """
        read: dict[str, Any] = {}
        for name, value in given.items():
            match self._known.get(name):
                case None:
                    raise SettingsError(self._unknown(name))
                case Only() as only:
                    only.require(name, value)
                case Taken(as_name, convert):
                    read[as_name or name] = _converted(name, value, convert)
                case NoEffect():
                    pass
        return read

    def _unknown(self, name: str) -> str:
        meant = closest(name, self._known)
        hint = f"did you mean {meant}=? " if meant else ""
        takes = [known for known, is_ in self._known.items() if isinstance(is_, Taken)]
        return f"{self._task} takes no {name}=; {hint}It takes: {', '.join(sorted(takes))}"


def _converted(name: str, value: Any, convert: Callable[[Any], Any] | None) -> Any:
    try:
        return value if convert is None else convert(value)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise SettingsError(f"{name}={shown(value)}: can't be that") from None
