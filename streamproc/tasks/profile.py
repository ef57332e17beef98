"""What a task knows of the ensemble that serves it."""

from __future__ import annotations

from dataclasses import dataclass

from streamproc.chunking.tokens import TextTokenizer
from streamproc.chunking.windows import Window
from streamproc.ensembling.combine import Strategy
from streamproc.ensembling.labels import LabelMap
from streamproc.ensembling.steps import STEP_STRATEGIES, StepStrategy
from streamproc.errors import ModelRefused
from streamproc.repository.manifest import DecodingSection


@dataclass(frozen=True, slots=True)
class MemberProfile:
    """One member: its say under the strategy `weighted`, and where its outputs go."""

    name: str
    version: str
    weight: float
    labels: LabelMap


@dataclass(frozen=True, slots=True)
class EnsembleProfile:
    """An ensemble as its task sees it; digest is the manifest's, decoding its section."""

    name: str
    digest: str
    labels: tuple[str, ...]
    members: tuple[MemberProfile, ...]
    strategy: Strategy
    needed_members: int
    tokenizer: TextTokenizer
    window: Window
    decoding: DecodingSection | None = None

    @property
    def decodes(self) -> DecodingSection:
        """How it decodes; raises ModelRefused where the manifest does not say."""
        if self.decoding is None:
            raise ModelRefused(f"ensemble {self.name}: the manifest needs a section [decoding]")
        return self.decoding

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
