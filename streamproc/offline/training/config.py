"""The options of a training run: flags, `run.toml` and docs/train-options.md are made of these."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from streamproc.errors import SettingsError, TrainingError
from streamproc.messages.request import ENSEMBLE_NAME
from streamproc.offline.corpus.rows import source_from
from streamproc.offline.training.search_space import SearchSpace, space_from
from streamproc.repository.manifest import MEMBER_VERSION
from streamproc.repository.toml import TomlValue

AUTO: Final = "auto"

Task = Literal[
    "text-classification",
    "token-classification",
    "question-answering",
    "translation",
    "text-generation",
]
LABELLED: Final = ("text-classification", "token-classification")
"""Tasks whose members learn labels."""
FROM_SCRATCH: Final = ("translation", "text-generation")
"""Tasks whose members start from no base."""
_ENCODERS_ONLY: Final = ("int8", "fp16")


def _ensemble(name: str) -> str:
    if not re.fullmatch(ENSEMBLE_NAME, name):
        raise ValueError("a name is at most 64 lower-case letters, digits, '.', '_' and '-'")
    return name


def _version(version: str) -> str:
    if not re.fullmatch(MEMBER_VERSION, version):
        raise ValueError("at most 64 letters, digits, '.', '_' and '-'")
    return version


def _layers(written: str) -> str:
    if not re.fullmatch(r"\d+(,\d+)*", written):
        raise ValueError("expected numbers, e.g. 0,1")
    return written


def _precision(written: Any) -> Any:
    if "dynamic" in str(written):
        raise ValueError(
            "int8 with ranges taken from each batch gives a text another answer in other company; "
            "int8 takes them from the member's own texts"
        )
    return written


Files = tuple[str, ...]


class _Options(BaseModel):
    """heading: of these options in the help and on the page of all options."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    heading: ClassVar[str]


class OutputOptions(_Options):
    """None of these decides what a member learns."""

    heading = "Output"

    ensemble: Annotated[str, AfterValidator(_ensemble)] = Field(description="name of the ensemble")
    out: Path = Field(Path("models"), description="model repository to write to")
    work: Path = Field(
        Path("work"), description="folder of runs; each has a folder with its ensemble's name"
    )
    version: Annotated[str, AfterValidator(_version)] = Field(
        "1", description="version of the members"
    )
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "int8", "int8-weights"], BeforeValidator(_precision)
    ] = Field(
        AUTO,
        description="numbers that members are stored in: fp32, fp16, int8, int8-weights; auto: the "
        "smallest that loses at most 0.5 points on --valid",
    )
    description: str = Field("", description="description in the manifest")
    license: str = Field("", description="license of weights and data, for the manifest")


class DataOptions(_Options):
    heading = "Data"

    task: Task = Field(
        "text-classification", description=f"what members learn: {', '.join(get_args(Task))}"
    )
    partitions: Path | None = Field(
        None, description="folder that `corpus partition` wrote; one member is trained on each"
    )
    corpus: Files = Field(
        (),
        description="or training files, [NAME=]FILE: .jsonl, .json, .csv, .tsv, .gz of it, or "
        ".parquet; once per file",
    )
    valid: Files = Field(
        (), description="files that decide when a member has converged; as --corpus"
    )
    partition_by: str | None = Field(
        None,
        description="how --corpus is partitioned: a field's name, corpus (the NAME of its file), "
        "or hash:N, by default hash:3",
    )
    label: Files = Field(
        (),
        description="SPELLING=NAME, in order, e.g. 0=negative; entities: person=PER, misc=O; "
        "default: all labels of the corpus",
    )
    text_field: str = Field("text", description="field that holds the text")
    label_field: str = Field("label", description="field that holds the label")


class ModelOptions(_Options):
    heading = "Model"

    base: Path | None = Field(
        None, description="Hugging Face folder that encoders start from; default: MiniLM-L6"
    )
    vocabulary: int = Field(
        4200, ge=300, description="number of tokens, kept of the base's or learned"
    )
    layers: Annotated[str, AfterValidator(_layers)] = Field(
        "0,1", description="layers of the base that are kept, e.g. 0,1; from scratch: how many"
    )
    freeze_layers: int = Field(
        0, ge=0, description="first layers of the base to freeze; they run once before all members"
    )
    prefix_corpus: Files = Field(
        (),
        description="files that choose the vocabulary and the ranges of frozen layers; default: "
        "the corpus",
    )
    heads: int | None = Field(
        None, ge=1, description="attention heads per layer; default: all of the base's"
    )
    width: int = Field(128, ge=8, description="hidden size of models from scratch")
    ffn_width: int = Field(512, ge=1, description="feed-forward neurons per layer")
    window: int = Field(256, ge=8, description="longest input, in tokens")
    overlap: int = Field(32, ge=0, description="tokens that windows of a long text share")

    @property
    def layer_numbers(self) -> tuple[int, ...]:
        """The layers of the base that are kept; from scratch one number, how many there are."""
        return tuple(int(number) for number in self.layers.split(","))

    @property
    def heads_from_scratch(self) -> int:
        """Attention heads of a model that starts from no base."""
        return self.heads or max(1, self.width // 32)


class Schedule(_Options):
    """The learning rate warms up, then falls along a cosine to zero at the last epoch."""

    heading = "Schedule"

    epochs: int = Field(4, ge=1, description="passes over the texts, at most")
    batch: int = Field(32, ge=1, description="texts per step, in each process")
    learning_rate: float = Field(3e-4, ge=0, description="highest learning rate")
    warmup: float = Field(
        0.1, ge=0, le=1, description="share of the steps in which the learning rate rises"
    )
    weight_decay: float = Field(0.01, ge=0, description="weight decay of AdamW")
    patience: int = Field(
        2, ge=1, description="epochs in a row without improvement after which training stops"
    )
    checkpoint_steps: int = Field(
        500, ge=1, description="steps within an epoch between two checkpoints"
    )


class SeedModelOptions(_Options):
    heading = "Seed model"

    seed_model_epochs: int = Field(
        0, ge=0, description="first train one model on the whole corpus; members branch off from it"
    )
    seed_model_learning_rate: float = Field(
        3e-4, ge=0, description="highest learning rate of the seed model"
    )


class SearchOptions(_Options):
    heading = "Hyperparameter search"

    trials: int = Field(
        0, ge=0, description="schedules tried first, on the largest part; the best is used"
    )
    search: Annotated[SearchSpace | None, BeforeValidator(space_from)] = Field(
        None, description="TOML file of what is tried; see docs/training.md"
    )


class DeterminismOptions(_Options):
    heading = "Determinism"

    seed: int = Field(0, ge=0, description="same seed, same weights")
    threads: int = Field(2, ge=1, description="threads of torch, in each process")


GROUPS: Final = (
    DataOptions,
    OutputOptions,
    ModelOptions,
    Schedule,
    SeedModelOptions,
    SearchOptions,
    DeterminismOptions,
)
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
        return self

    @model_validator(mode="after")
    def _fits_its_task(self) -> Self:
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


def _said(fault: Any) -> str:
    why = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return f"{why}."
    name, known = str(fault["loc"][0]), TrainConfig.model_fields
    if name not in known:
        return f"{name}: no option of `streamproc train`."
    if fault["type"] == "missing":
        return f"{flag(name)} is not given."
    if fault["type"] in {"literal_error", "union_error"}:
        why = f"expected one of {fault['ctx']['expected']}".replace("'", "").replace(" or ", ", ")
    return f"{flag(name)} {fault['input']!r}: {why[:1].lower()}{why[1:]}."
