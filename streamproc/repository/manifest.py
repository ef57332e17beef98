"""`manifest.toml`: what an ensemble is made of, and how its members are combined."""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from streamproc.errors import ModelRefused
from streamproc.messages.request import ENSEMBLE_NAME
from streamproc.profile import Profile
from streamproc.repository.decoding_section import DecodingSection
from streamproc.repository.section import MEMBER_VERSION, Section, describe_faults
from streamproc.repository.toml import from_toml
from streamproc.types import EntityAggregation, ProblemType, Strategy


def _inside(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in path or not parts.parts:
        raise ValueError("must be a path inside the ensemble's folder")
    return path


Name = Annotated[str, StringConstraints(pattern=ENSEMBLE_NAME)]
InsidePath = Annotated[str, AfterValidator(_inside)]
Precision = Literal["fp32", "fp16", "int8", "int8-weights"]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

SCORED_SPANS = ("token-classification", "question-answering")
"""Tasks whose scores are of spans of a text, each of them right or wrong."""


class TokenizerFile(Section):
    """The tokenizer all members share."""

    file: InsidePath
    sha256: Digest


class WindowSection(Section):
    """How texts are cut; special tokens count as tokens."""

    max_tokens: int = Field(ge=8, le=1_048_576)
    overlap_tokens: int = Field(ge=0)

    @model_validator(mode="after")
    def _leaves_room(self) -> WindowSection:
        if self.overlap_tokens > self.max_tokens // 2:
            raise ValueError("overlap_tokens must be at most half of max_tokens")
        return self


class CombineSection(Section):
    """How members are combined unless a request says otherwise.

    temperature: calibrates the combined probabilities of that strategy; 1 leaves them as they are
    """

    strategy: Strategy = "mean"
    temperature: float = Field(1.0, ge=0.05, le=20, allow_inf_nan=False)


class ConfidenceSection(Section):
    """How scores of entities and answers are made as often right as they say.

    sigmoid(slope * logit(score) + offset), for what members say together under the manifest's
    strategy; 1 and 0 leave scores as they are
    """

    slope: float = Field(1.0, gt=0, le=20, allow_inf_nan=False)
    offset: float = Field(0.0, ge=-20, le=20, allow_inf_nan=False)


class DefaultsSection(Section):
    """What params are where a request does not say them.

    aggregation: how tokens become entities, of an ensemble for token-classification
    """

    aggregation: EntityAggregation = "simple"


class MeasuredProfile(Section):
    """What a profile comes to on validation data.

    value, low, high: of the task's first metric, with an interval of 95 %
    members: that were asked for a chunk, on average
    speedup: requests for the same time of CPUs, by those of the profile `full`
    """

    profile: Profile | Literal["brown-out"]
    metric: str
    value: float
    low: float
    high: float
    members: float = Field(ge=0)
    speedup: float = Field(gt=0)


class ProfilesSection(Section):
    """How few members will do, chosen on validation data; see `streamproc profiles`.

    cascade_margin: by how much the likeliest label must lead for no further member to be asked
    trusted_share: of the say, that the members hold together who are asked
    chosen_for: digest of the members, and of how they are combined, that this is true of
    """

    chosen_for: Digest | Literal[""] = ""
    cascade_margin: float | None = Field(None, ge=0, le=1)
    trusted_share: float | None = Field(None, gt=0, le=1)
    data: str = ""
    measured: tuple[MeasuredProfile, ...] = Field((), strict=False)


class GateSection(Section):
    """What tells under the strategy `gated` how much say each member has on a chunk.

    file: NumPy's format, (vocabulary, members): what a token tells for each member, in nats
    members: whose each column is
    sharpness: of the softmax over members
    """

    file: InsidePath
    sha256: Digest
    members: tuple[Name, ...] = Field(strict=False, min_length=1)
    sharpness: float = Field(ge=0, le=1000, allow_inf_nan=False)


class PrefixSection(Section):
    """Layers that run once before all members, which take their hidden states.

    Stored by digest beside the ensembles, so that those which share it have it once.
    """

    sha256: Digest
    size_bytes: int | None = Field(None, gt=0)
    precision: Precision = "fp32"


class DecoderFile(Section):
    """The decoder of an encoder-decoder member."""

    file: InsidePath
    sha256: Digest
    size_bytes: int | None = Field(None, gt=0)


class WeightsFile(Section):
    """The numbers of a stage, which its graph refers to by the file's name, as ONNX has it."""

    file: InsidePath
    sha256: Digest
    size_bytes: int = Field(ge=0)


class StageSection(Section):
    """Some layers of a model that is cut: a graph, and its weights in a file beside it.

    resident_bytes: what the weights take once they are loaded
    """

    file: InsidePath
    sha256: Digest
    size_bytes: int = Field(gt=0)
    resident_bytes: int = Field(gt=0)
    weights: WeightsFile

    @model_validator(mode="after")
    def _lies_together(self) -> StageSection:
        if PurePosixPath(self.file).parent != PurePosixPath(self.weights.file).parent:
            raise ValueError("weights must lie in the folder of the stage's file")
        return self


class MemberSection(Section):
    """One member: a model trained on one partition of a corpus.

    file, sha256: none where the model is cut into `stages`, which run one after another
    labels: the ensemble's label for each output, in order; "" for an output to ignore; none where
        the task has no labels
    decoder: of an encoder-decoder, whose encoder `file` then is; merged: with and without a cache
    weight: its say under the strategy `weighted`, and what a gate multiplies
    """

    name: Name
    version: Annotated[str, StringConstraints(pattern=MEMBER_VERSION)]
    file: InsidePath | None = None
    sha256: Digest | None = None
    size_bytes: int | None = Field(None, gt=0)
    stages: tuple[StageSection, ...] = Field((), strict=False)
    decoder: DecoderFile | None = None
    precision: Precision = "fp32"
    labels: tuple[str, ...] = Field((), strict=False)
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    provenance: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_whole_or_in_stages(self) -> MemberSection:
        if self.stages and (self.file or self.sha256 or self.size_bytes or self.decoder):
            raise ValueError("stages exclude file, sha256, size_bytes and decoder")
        if not self.stages and not (self.file and self.sha256):
            raise ValueError("needs file and sha256, or stages")
        return self

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Each of its files, with its sha256."""
        found = [(self.file, self.sha256)] if self.file and self.sha256 else []
        for stage in self.stages:
            found += [(part.file, part.sha256) for part in (stage, stage.weights)]
        if self.decoder:
            found.append((self.decoder.file, self.decoder.sha256))
        return tuple(found)

    @property
    def digests(self) -> tuple[str, ...]:
        """The sha256 of each of its files; members of equal digests are one model."""
        return tuple(sha256 for _, sha256 in self.files)

    @property
    def stored_bytes(self) -> int | None:
        """What its files take on disk, as far as the manifest says it of all of them."""
        if self.stages:
            return sum(stage.size_bytes + stage.weights.size_bytes for stage in self.stages)
        sizes = [self.size_bytes, *([self.decoder.size_bytes] if self.decoder else [])]
        return sum(size for size in sizes if size) if all(sizes) else None


class Manifest(Section):
    """An ensemble.

    problem_type: what the outputs of members that classify texts are, by transformers' names
    """

    format: Literal[1]
    name: Name
    task: str
    description: str = ""
    license: str = ""
    problem_type: ProblemType = "single_label_classification"
    labels: tuple[str, ...] = Field((), strict=False)
    quorum: int | None = Field(None, ge=1)
    tokenizer: TokenizerFile
    window: WindowSection
    combine: CombineSection = CombineSection()
    confidence: ConfidenceSection = ConfidenceSection()
    defaults: DefaultsSection = DefaultsSection()
    gate: GateSection | None = None
    profiles: ProfilesSection = ProfilesSection()
    decoding: DecodingSection | None = None
    prefix: PrefixSection | None = None
    members: tuple[MemberSection, ...] = Field(strict=False, min_length=1)

    @model_validator(mode="after")
    def _holds_together(self) -> Manifest:
        names = [member.name for member in self.members]
        if len(set(names)) != len(names):
            raise ValueError(f"members must have different names; found {names}")
        if self.prefix and self.decoding:
            raise ValueError("members that write text take tokens: [prefix] and [decoding] exclude")
        if self.decoding and self.combine.temperature != 1:
            raise ValueError("combine.temperature is for members that score, not for [decoding]")
        if self.confidence != ConfidenceSection() and self.task not in SCORED_SPANS:
            raise ValueError(
                f"[confidence] is for {' and '.join(SCORED_SPANS)}, whose scores are of spans"
            )
        if self.defaults.aggregation != "simple" and self.task != "token-classification":
            raise ValueError(
                "defaults.aggregation is for token-classification; "
                f"{self.task} makes no entities of tokens"
            )
        if self.combine.strategy == "gated" and self.gate is None:
            raise ValueError("combine.strategy is gated, but there is no section [gate]")
        if self.gate and (ungated := set(names) - set(self.gate.members)):
            raise ValueError(f"gate.members lacks {', '.join(sorted(ungated))}")
        if self.decoding and self.profiles != ProfilesSection():
            raise ValueError("[profiles] is for members that score, not for [decoding]")
        if len(self.labels) == 1 and self.problem_type == "single_label_classification":
            raise ValueError(f"labels must be at least two, or none; found {list(self.labels)}")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels must differ; found {list(self.labels)}")
        if self.quorum is not None and self.quorum > len(names):
            raise ValueError(f"quorum is {self.quorum}, but there are {len(names)} members")
        if self.problem_type == "regression":
            self._require_numbers()
        return self

    def _require_numbers(self) -> None:
        """Raise ValueError where numbers could not be combined as the manifest says."""
        if self.combine.temperature != 1:
            raise ValueError("combine.temperature calibrates probabilities, not a regression")
        for member in self.members:
            # A label's probability is 0 where nobody knows it; of a number nothing could be said.
            if set(member.labels) - {""} != set(self.labels):
                raise ValueError(
                    f"member {member.name} must give every number of a regression, "
                    f"{', '.join(self.labels)}; found {list(member.labels)}"
                )

    @property
    def served_profiles(self) -> ProfilesSection:
        """What was chosen for just these members; nothing where they have changed since."""
        is_theirs = self.profiles.chosen_for == self.ensembling_digest
        return self.profiles if is_theirs else ProfilesSection()

    @property
    def ensembling_digest(self) -> str:
        """Of all that decides what members say, and what is made of it."""
        says = [
            [member.name, *member.digests, str(member.weight), *member.labels]
            for member in self.members
        ]
        gate = None if self.gate is None else self.gate.model_dump()
        prefix = None if self.prefix is None else self.prefix.sha256
        decided = [says, self.combine.model_dump(), gate, prefix, self.tokenizer.sha256]
        return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()

    @property
    def needed_members(self) -> int:
        """How many members must answer for an answer to be given."""
        return len(self.members) if self.quorum is None else self.quorum


def read_manifest(content: bytes, where: str) -> Manifest:
    """The manifest in `content`; raises ModelRefused saying which field is wrong and how."""
    try:
        return Manifest.model_validate(from_toml(content, where))
    except ValidationError as error:
        raise ModelRefused(f"{where}: {describe_faults(error, Manifest)}") from None
