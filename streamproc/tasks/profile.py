"""What a task knows of the ensemble that serves it."""

from __future__ import annotations

from dataclasses import dataclass

from streamproc.chunking.tokens import TextTokenizer
from streamproc.chunking.windows import Window
from streamproc.ensembling.combine import Strategy
from streamproc.ensembling.labels import LabelMap


@dataclass(frozen=True, slots=True)
class MemberProfile:
    """One member: its say under the strategy `weighted`, and where its outputs go."""

    name: str
    version: str
    weight: float
    labels: LabelMap


@dataclass(frozen=True, slots=True)
class EnsembleProfile:
    """An ensemble as its task sees it; digest is the manifest's."""

    name: str
    digest: str
    labels: tuple[str, ...]
    members: tuple[MemberProfile, ...]
    strategy: Strategy
    needed_members: int
    tokenizer: TextTokenizer
    window: Window
