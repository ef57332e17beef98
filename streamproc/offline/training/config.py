"""The configuration of a training run, from flags or `run.toml`, and which ones can not be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import ValidationError, model_validator

from streamproc.errors import SettingsError, TrainingError
from streamproc.messages.validation import in_json_words
from streamproc.offline.corpus.rows import source_from
from streamproc.offline.training.options import (
    BASES,
    DataOptions,
    DeterminismOptions,
    ModelOptions,
    OutputOptions,
    Schedule,
    SearchOptions,
    SeedModelOptions,
)
from streamproc.offline.training.search_space import values_named
from streamproc.repository.toml import TomlValue

LABELLED: Final = ("text-classification", "token-classification")
"""Tasks whose members learn labels."""
FROM_SCRATCH: Final = ("translation", "text-generation")
"""Tasks whose members start from no base."""
_ENCODERS_ONLY: Final = ("int8", "fp16")

_FILES: Final = ("corpus", "valid", "prefix_corpus")
# Files decide by what they hold, wherever they are.
_WITHOUT_CONSEQUENCE: Final = frozenset(
    {*OutputOptions.model_fields, "partitions", "base", *_FILES}
)


class TrainConfig(
    DeterminismOptions,
    SearchOptions,
    SeedModelOptions,
    Schedule,
    ModelOptions,
    OutputOptions,
    DataOptions,
):
    """All options that decide a training run. work: the run's folder is in it."""

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Self:
        """Options as flags or `run.toml` give them; None: not given.

        Raises TrainingError or SettingsError that names the flag.
        """
        given = {name: value for name, value in options.items() if value is not None}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise TrainingError("\n  ".join(map(_said, error.errors()))) from None

    def located(self) -> Self:
        """With absolute paths, so that what is written of it can be read from anywhere."""
        update: dict[str, Any] = {
            name: value.absolute() for name, value in self if isinstance(value, Path)
        }
        if self.base and self.base not in BASES:
            update["base"] = str(Path(self.base).absolute())
        for name in _FILES:
            sources = map(source_from, getattr(self, name))
            update[name] = tuple(f"{one.name}={one.path.absolute()}" for one in sources)
        return self.model_copy(update=update)

    def written(self) -> dict[str, TomlValue]:
        """As `run.toml` has it."""
        return self.located().model_dump(mode="json", exclude_none=True)

    @property
    def seed_model_schedule(self) -> Schedule | None:
        """How the model that members branch off from is trained, if there is to be one."""
        if not self.seed_model_epochs:
            return None
        own = {"epochs": self.seed_model_epochs, "learning_rate": self.seed_model_learning_rate}
        return self.model_copy(update=own)

    @model_validator(mode="after")
    def _names_its_data_in_one_way(self) -> Self:
        if self.partitions and (self.corpus or self.valid or self.partition_by):
            raise SettingsError(
                "--partitions brings its own --corpus, --valid and --partition-by: leave these out."
            )
        if not self.partitions and not (self.corpus and self.valid):
            raise SettingsError("Name --partitions FOLDER, or --corpus FILE and --valid FILE.")
        return self

    @model_validator(mode="after")
    def _searches_as_often_as_said(self) -> Self:
        if self.search and not self.trials:
            raise SettingsError("--search declares what is tried; say how often, with --trials.")
        for name, values in (self.search or {}).items():
            for value in values_named(values):
                _refuse_what_no_schedule_has(name, value)
        return self

    @model_validator(mode="after")
    def _fits_its_task(self) -> Self:
        if self.prefix_of and not self.freeze_layers:
            raise ValueError("--prefix-of: say with --freeze-layers how many layers it has frozen")
        if self.prefix_of and self.prefix_corpus:
            raise ValueError("--prefix-of brings its words: leave --prefix-corpus out")
        if self.task not in FROM_SCRATCH:
            if self.overlap > self.window // 2:
                raise ValueError(
                    f"--overlap {self.overlap}: at most half of --window {self.window}"
                )
            return self
        if len(self.layer_numbers) != 1 or self.layer_numbers[0] < 1:
            raise ValueError(f"--layers {self.layers!r}: from scratch, say how many, e.g. 3")
        if self.width % self.heads_from_scratch:
            raise ValueError(
                f"--width {self.width}: expected a multiple of the attention heads "
                f"({self.heads_from_scratch})"
            )
        if self.freeze_layers:
            raise ValueError(f"--freeze-layers: {self.task} starts from no base")
        if self.precision in _ENCODERS_ONLY:
            raise ValueError(
                f"--precision {self.precision}: not for this task; it can be auto, int8-weights, "
                "fp32"
            )
        return self


def flag(name: str) -> str:
    """An option as the command line has it."""
    return f"--{name.replace('_', '-')}"


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Options that decide what members learn and were others then, as `run.toml` has both."""
    return [
        f"started with {flag(name)} {then.get(name, 'not given')}, now {now.get(name, 'not given')}"
        for name in TrainConfig.model_fields
        if name not in _WITHOUT_CONSEQUENCE and then.get(name) != now.get(name)
    ]


def _refuse_what_no_schedule_has(name: str, value: float) -> None:
    try:
        # Strict: a range from 8.0 on holds 8.5 too, which is no size of a batch.
        Schedule.model_validate({name: value}, strict=True)
    except ValidationError as error:
        why = in_json_words(error.errors()[0])
        raise ValueError(f"--search: {name} {value}: {why[:1].lower()}{why[1:]}") from None


def _said(fault: Any) -> str:
    why = in_json_words(fault)
    if not fault["loc"]:
        return f"{why}."
    name, known = str(fault["loc"][0]), TrainConfig.model_fields
    if name not in known:
        return f"{name}: no option of `streamproc train`."
    if fault["type"] == "missing":
        return f"{flag(name)} is not given."
    if fault["type"] == "literal_error":
        why = f"expected one of {fault['ctx']['expected']}".replace("'", "").replace(" or ", ", ")
    return f"{flag(name)} {fault['input']!r}: {why[:1].lower()}{why[1:]}."
