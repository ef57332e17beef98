"""What a task knows of the ensemble that serves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from streamproc.errors import Invalid, ModelRefused
from streamproc.messages.response import MemberReport, MemberStatus
from streamproc.repository.decoding_section import DecodingSection
from streamproc.repository.versioned_name import FIRST_VERSION
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Window
from streamproc.serving.ensembling.confidence import IDENTITY, Confidence
from streamproc.serving.ensembling.gate import Gate
from streamproc.serving.ensembling.heads import HEADS, Head
from streamproc.serving.ensembling.labels import LabelMap
from streamproc.serving.ensembling.steps import STEP_STRATEGIES, StepStrategy
from streamproc.types import (
    BoolArray,
    EntityAggregation,
    FloatArray,
    Int64Array,
    JsonObject,
    ProblemType,
    Strategy,
)


@dataclass(frozen=True, slots=True)
class MemberSpec:
    """One member: its say under the strategy `weighted`, and where its outputs go."""

    name: str
    version: str
    weight: float
    labels: LabelMap


@dataclass(frozen=True, slots=True)
class EnsembleSpec:
    """An ensemble as its task sees it; digest is the manifest's, decoding its section.

    version: which of the ensemble's it is
    gate: what the strategy `gated` goes by; none: it can't be asked for
    temperature: calibrates what members say together under the manifest's strategy
    confidence: calibrates scores of entities and answers, under that strategy too
    aggregation: how tokens become entities where a request does not say it
    problem_type: what the outputs of members that classify are
    cascade_margin, trusted_share: how few members will do; None: that is not known
    on_choices: is told how often a member, by its number, has chosen as all did together, and not
    """

    name: str
    digest: str
    labels: tuple[str, ...]
    members: tuple[MemberSpec, ...]
    strategy: Strategy
    needed_members: int
    tokenizer: TextTokenizer
    window: Window
    decoding: DecodingSection | None = None
    gate: Gate | None = None
    temperature: float = 1.0
    confidence: Confidence = IDENTITY
    aggregation: EntityAggregation = "simple"
    problem_type: ProblemType = "single_label_classification"
    version: str = FIRST_VERSION
    cascade_margin: float | None = None
    trusted_share: float | None = None
    on_choices: Callable[[int, int, int], object] | None = None
    _all_answered: tuple[MemberReport, ...] = field(init=False)

    def __post_init__(self) -> None:
        reports = self._reports(["ok" for _ in self.members], {})
        object.__setattr__(self, "_all_answered", reports)

    @property
    def head(self) -> Head:
        """What members' outputs are, and how they are combined."""
        return HEADS[self.problem_type]

    def note_choices(self, answered: Sequence[int], agreeing: BoolArray | None) -> None:
        """Count whose choices were the ensemble's too.

        answered: numbers of the members; agreeing: (answered, choices); None: there were none
        """
        if self.on_choices is None or agreeing is None:
            return
        self.note_agreeing(answered, agreeing.sum(axis=1).tolist(), agreeing.shape[1])

    def note_agreeing(self, answered: Sequence[int], agreeing: Sequence[int], choices: int) -> None:
        """The same where it has been counted of how many choices how many were the ensemble's."""
        if self.on_choices is None:
            return
        for member, agreed in zip(answered, agreeing, strict=True):
            self.on_choices(member, agreed, choices - agreed)

    def chosen_strategy(self, asked: Strategy | None) -> Strategy:
        """How members are combined where a request asks so; raises Invalid.

        None: as the manifest says
        """
        if asked == "gated" and self.gate is None:
            raise Invalid(
                "invalid request", f"params.combine: gated, but ensemble {self.name} has no gate"
            )
        if asked is not None and asked not in self.head.strategies:
            raise Invalid(
                "invalid request",
                f"params.combine: {asked}, but ensemble {self.name} gives numbers, which are "
                f"combined by {', '.join(self.head.strategies)}",
            )
        return asked or self.strategy

    def weights(self, strategy: Strategy, ids: Int64Array) -> FloatArray:
        """(members,) each one's say on a chunk under a strategy; ids: (tokens,) the chunk's."""
        if strategy not in {"weighted", "gated"}:
            return np.ones(len(self.members))
        weights = np.array([member.weight for member in self.members])
        if strategy == "gated" and self.gate is not None:
            weights *= self.gate.weights(ids)
        return weights

    def batch_weights(self, strategy: Strategy, ids: Sequence[Int64Array]) -> FloatArray:
        """(members, chunks) the same for several chunks."""
        if strategy == "gated":
            return np.stack([self.weights(strategy, own) for own in ids], axis=1)
        return np.repeat(self.weights(strategy, ids[0])[:, None], len(ids), axis=1)

    def member_reports(
        self, status: Sequence[MemberStatus], results: Mapping[int, JsonObject]
    ) -> tuple[MemberReport, ...]:
        """What a response says of each member.

        results: each one's own, by number, where it was asked for and there is one
        """
        if not results and all(one == "ok" for one in status):
            return self._all_answered
        return self._reports(status, results)

    def _reports(
        self, status: Sequence[MemberStatus], results: Mapping[int, JsonObject]
    ) -> tuple[MemberReport, ...]:
        return tuple(
            MemberReport(member.name, member.version, status[index], results.get(index))
            for index, member in enumerate(self.members)
        )

    @property
    def decodes(self) -> DecodingSection:
        """How it decodes; raises ModelRefused where the manifest does not say."""
        if self.decoding is None:
            raise ModelRefused(f"ensemble {self.name}: the manifest needs a section [decoding]")
        return self.decoding

    def chosen_step_strategy(self, asked: StepStrategy | None) -> StepStrategy:
        """The same where members write text; raises Invalid."""
        self.chosen_strategy(asked)
        return asked or self.step_strategy

    @property
    def step_strategy(self) -> StepStrategy:
        """How members are combined at every step; raises ModelRefused where that makes no sense."""
        for strategy in STEP_STRATEGIES:
            if strategy == self.strategy:
                return strategy
        raise ModelRefused(
            f"ensemble {self.name}: combine.strategy is {self.strategy}; where members write text "
            f"together it is one of {', '.join(STEP_STRATEGIES)}"
        )
