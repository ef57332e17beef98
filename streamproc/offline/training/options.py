"""The options of a training run, by subject: name, type, default, bounds and help of each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from streamproc.offline.training.search_space import SearchSpace, space_from
from streamproc.repository.section import MEMBER_VERSION
from streamproc.repository.versioned_name import VERSIONED_NAME

AUTO: Final = "auto"
BASES: Final = ("bge-small", "minilm")
"""Bases that are known by name."""

Task = Literal[
    "text-classification",
    "token-classification",
    "question-answering",
    "translation",
    "text-generation",
]


def _matching(pattern: str, expected: str) -> AfterValidator:
    """As pydantic's pattern, in words for those who don't read them."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"expected {expected}")
        return text

    return AfterValidator(check)


Ensemble = Annotated[
    str,
    _matching(
        VERSIONED_NAME,
        "at most 64 lower-case letters, digits, '.', '_' and '-', and maybe a version, as in "
        "sentiment@2",
    ),
]
Version = Annotated[str, _matching(MEMBER_VERSION, "at most 64 letters, digits, '.', '_' and '-'")]
Layers = Annotated[str, _matching(r"\d+(,\d+)*", "numbers, e.g. 0,1")]


def _precision(written: Any) -> Any:
    if "dynamic" in str(written):
        raise ValueError(
            "int8 with ranges taken from each batch gives a text another answer in another batch; "
            "int8 takes them from the member's own texts"
        )
    return written


Files = tuple[str, ...]
NotNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
AtLeast8 = Annotated[int, Field(ge=8)]
Rate = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class _Options(BaseModel):
    """heading: of these options in the help, and on the page of all options.

    What stands below an option is its help.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    heading: ClassVar[str]


class OutputOptions(_Options):
    """None of these decides what a member learns."""

    heading = "Output"

    ensemble: Ensemble
    """name of the ensemble; NAME@VERSION writes another version, beside those there are"""
    out: Path = Path("models")
    """model repository to write to"""
    work: Path = Path("work")
    """folder of runs; each has a folder with its ensemble's name"""
    version: Version = "1"
    """version of the members"""
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "int8", "int8-weights"], BeforeValidator(_precision)
    ] = AUTO
    """numbers that members are stored in: fp32, fp16, int8, int8-weights; auto: the smallest that
    loses at most 0.5 points on --valid"""
    description: str = ""
    """description in the manifest"""
    license: str = ""
    """license of weights and data, for the manifest"""


class DataOptions(_Options):
    heading = "Data"

    task: Task = "text-classification"
    """what members learn: text-classification, token-classification, question-answering,
    translation, text-generation"""
    partitions: Path | None = None
    """folder that `corpus partition` wrote; one member is trained on each"""
    corpus: Files = ()
    """or training files, [NAME=]FILE: .jsonl, .json, .csv, .tsv, .gz of it, or .parquet; once per
    file"""
    valid: Files = ()
    """files that decide when a member has converged; as --corpus"""
    partition_by: str | None = None
    """how --corpus is partitioned: a field's name, corpus (the NAME of its file), or hash:N, by
    default hash:3"""
    learn_from: Literal["own", "others"] = "own"
    """what a member learns from: own, its part of the corpus; others, all parts but its own, which
    makes members of a small corpus better"""
    label: Files = ()
    """SPELLING=NAME, in order, e.g. 0=negative; entities: person=PER, misc=O; default: all labels
    of the corpus"""
    text_field: str = "text"
    """field that holds the text"""
    label_field: str = "label"
    """field that holds the label"""
    unanswerable_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    """share of the questions that are also asked of a paragraph without their answer, half of these
    of one that shares their words; answers learn from them to say that there is none"""


class ModelOptions(_Options):
    heading = "Model"

    base: str | None = None
    """what encoders start from: bge-small (fetched once, 78 MB), minilm, or a Hugging Face folder;
    default: minilm"""
    vocabulary: Annotated[int, Field(ge=300)] = 4200
    """number of tokens, kept of the base's or learned"""
    layers: Layers = "0,1"
    """layers of the base that are kept, e.g. 0,1; from scratch: how many"""
    freeze_layers: NotNegative = 0
    """first layers of the base to freeze; they run once before all members"""
    prefix_corpus: Files = ()
    """files that choose the vocabulary and the ranges of frozen layers; default: the corpus"""
    prefix_of: Path | None = None
    """an ensemble's folder, e.g. models/entities: its words and frozen layers are taken over, so
    that both ensembles share the file; --freeze-layers says how many these are"""
    heads: Annotated[int | None, Field(ge=1)] = None
    """attention heads per layer; default: all of the base's"""
    width: AtLeast8 = 128
    """hidden size of models from scratch"""
    ffn_width: Positive = 512
    """feed-forward neurons per layer"""
    window: AtLeast8 = 256
    """longest input, in tokens"""
    overlap: NotNegative = 32
    """tokens that windows of a long text share"""

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

    epochs: Positive = 4
    """passes over the texts, at most"""
    batch: Positive = 32
    """texts per step, in each process"""
    learning_rate: Rate = 3e-4
    """highest learning rate"""
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1
    """share of the steps in which the learning rate rises (transformers: warmup_ratio)"""
    weight_decay: Rate = 0.01
    """weight decay of AdamW"""
    patience: Positive = 2
    """epochs in a row without improvement after which training stops"""
    checkpoint_steps: Positive = 500
    """steps within an epoch between two checkpoints"""


class SeedModelOptions(_Options):
    heading = "Seed model"

    seed_model_epochs: NotNegative = 0
    """first train one model on the whole corpus; members branch off from it"""
    seed_model_learning_rate: Rate = 3e-4
    """highest learning rate of the seed model"""


class SearchOptions(_Options):
    heading = "Hyperparameter search"

    trials: NotNegative = 0
    """schedules tried first, on the largest part; the best is used"""
    search: Annotated[SearchSpace | None, BeforeValidator(space_from)] = None
    """TOML file of what is tried; see docs/training.md"""


class DeterminismOptions(_Options):
    heading = "Determinism"

    seed: Seed = 0
    """same seed, same weights"""
    threads: Positive = 2
    """threads of torch, in each process"""


GROUPS: Final = (
    DataOptions,
    OutputOptions,
    ModelOptions,
    Schedule,
    SeedModelOptions,
    SearchOptions,
    DeterminismOptions,
)
