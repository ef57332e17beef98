"""What a search of hyperparameters may try, as a user declares it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, Strict, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from streamproc.errors import TrainingError

Number = Annotated[int, Strict()] | Annotated[float, Strict()]
Choices = Annotated[tuple[Number, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Range:
    """Whole numbers where both ends are whole. log: ten times as much is one step."""

    low: Annotated[Number, Field(ge=0)]
    high: Number
    log: bool = False

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if self.low > self.high or (self.log and not self.low):
            raise ValueError("it holds no numbers")
        return self


SearchSpace = dict[
    Literal["learning_rate", "batch", "epochs", "warmup", "weight_decay"], Range | Choices
]
"""By the option's name, a range or what there is to choose from."""

DEFAULT_SPACE: Final[SearchSpace] = {
    "learning_rate": Range(3e-5, 3e-3, log=True),
    "batch": (16, 32, 64),
    "warmup": Range(0.0, 0.2),
    "weight_decay": (0.0, 0.01, 0.1),
}


def values_named(values: Range | Choices) -> tuple[Number, ...]:
    """What there is to choose from, or the two ends of a range."""
    return (values.low, values.high) if isinstance(values, Range) else values


def space_from(written: Any) -> Any:
    """The space that a TOML file declares, a line an option; anything but a path is left as it is.

    Raises TrainingError when the file can't be read, or declares something else.
    """
    if not isinstance(written, str | Path):
        return written
    path = Path(written)
    try:
        return TypeAdapter(SearchSpace).validate_python(_read(path))
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise TrainingError(
            f"{path}: {name}: expected learning_rate, batch, epochs, warmup or weight_decay, each "
            "with numbers to choose from, [16, 32], or a range, "
            "{ low = 1e-5, high = 1e-3, log = true }."
        ) from None


def _read(path: Path) -> Mapping[str, object]:
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TrainingError(f"{path}: there is no such file; --search names one.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: not readable as TOML: {error}.") from None
    if not written:
        raise TrainingError(f"{path}: declares nothing to search; see docs/training.md.")
    return written
