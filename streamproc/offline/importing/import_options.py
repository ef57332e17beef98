"""What whoever imports a model says of it, and who is asked for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streamproc.offline.importing.output_kind import Scale
from streamproc.offline.importing.padding import Side
from streamproc.types import ProblemType


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """None, or nothing, where the model is to tell by itself.

    ensemble:  to join if it is there, to be made if not; NAME or NAME@VERSION
    out:       the model repository
    tokenizer: a tokenizer.json, the one the model's token ids are of
    labels:    a name for each output, or SPELLING=NAME
    use: whether the manifest is to name this version of a member that is there already
    inputs, outputs: WORKER'S=MODEL'S names
    problem_type: what a classifier's outputs are of
    scores:    what the outputs are
    padded_to: the length, in tokens, that texts were padded to as the model was trained
    pad_token: a token or its id
    window, overlap: of a new ensemble, in tokens
    prefix, source_language, target_language: of a new ensemble that translates
    """

    source: Path
    ensemble: str
    out: Path
    task: str | None = None
    tokenizer: Path | None = None
    labels: Sequence[str] = ()
    member: str | None = None
    version: str = "1"
    use: bool = True
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    problem_type: ProblemType | None = None
    scores: Scale | None = None
    padded_to: int | None = None
    pad_token: str | None = None
    pad_side: Side = "right"
    window: int | None = None
    overlap: int | None = None
    prefix: str | None = None
    source_language: str | None = None
    target_language: str | None = None
    description: str = ""
    license: str = ""


class Prompter(Protocol):
    """Whoever is asked what neither the options nor the model tell: a person, or nobody."""

    def ask(self, question: str, flag: str) -> str:
        """The answer, as `flag` would have given it; raises SettingsError where nobody is there."""
        ...
