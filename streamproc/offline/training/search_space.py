"""What settings there are to search among, as a user declares them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from streamproc.errors import TrainingError

# What may be searched, as the command line calls it, and as a schedule does.
NAMES = {
    "learning_rate": "learning_rate",
    "batch": "batch_size",
    "epochs": "epochs",
    "warmup": "warmup_share",
    "weight_decay": "weight_decay",
}


@dataclass(frozen=True, slots=True)
class Range:
    """Whole numbers where both ends are whole. log: ten times as much is one step."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """A space of settings and how many of them are tried.

    space: by name, as the command line has it: a range, or what there is to choose from
    """

    trials: int
    space: Mapping[str, Range | Sequence[float]] = field(
        default_factory=lambda: {
            "learning_rate": Range(3e-5, 3e-3, log=True),
            "batch": (16, 32, 64),
            "warmup": Range(0.0, 0.2),
            "weight_decay": (0.0, 0.01, 0.1),
        }
    )


def read_space(path: Path) -> Mapping[str, Range | Sequence[float]]:
    """The space in a TOML file; raises TrainingError.

    A line a setting: `batch = [16, 32]`, `learning_rate = { low = 1e-5, high = 1e-3, log = true }`.
    """
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TrainingError(f"{path}: there is no such file; --search names one.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: not readable as TOML: {error}.") from None
    if not written or written.keys() - NAMES:
        raise TrainingError(
            f"{path}: searched can be {', '.join(NAMES)}; it has "
            f"{', '.join(sorted(written)) or 'nothing'}."
        )
    return {name: _space(path, name, value) for name, value in written.items()}


def _space(path: Path, name: str, value: object) -> Range | Sequence[float]:
    if isinstance(value, list) and value and all(_is_number(one) for one in value):
        return tuple(value)
    if isinstance(value, dict) and {"low", "high"} <= value.keys() <= {"low", "high", "log"}:
        found = Range(**value)
        numbers = all(_is_number(one) for one in (found.low, found.high))
        if numbers and (found.low > 0 or not found.log) and 0 <= found.low <= found.high:
            return found
    raise TrainingError(
        f"{path}: {name} = {value!r}: expected numbers to choose from, [16, 32], or a range, "
        "{ low = 1e-5, high = 1e-3, log = true }."
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
