"""What is being imported, and what it became before it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.offline.importing.hf_config import HfConfig
from streamproc.offline.importing.import_options import ImportOptions, Prompter
from streamproc.offline.importing.model_files import ModelFiles
from streamproc.repository.decoding_section import DecodingSection
from streamproc.repository.manifest import MemberSection, Precision
from streamproc.repository.repository import StoredEnsemble
from streamproc.types import ProblemType


@dataclass(frozen=True, slots=True)
class ImportSource:
    """A model, and all that is known about it.

    files:     as they were found, or as they were exported to ONNX
    stored:    the ensemble it joins; None where one is made for it
    tokenizer: a tokenizer.json's bytes
    labels:    the ensemble's label for each output, where that was settled before the export
    problem_type: what a classifier's outputs are; None where the graph has to tell
    """

    files: ModelFiles
    options: ImportOptions
    config: HfConfig
    stored: StoredEnsemble | None
    prompter: Prompter
    tokenizer: bytes = b""
    labels: tuple[str, ...] | None = None
    problem_type: ProblemType | None = None

    @property
    def member(self) -> str:
        """The member's name."""
        return self.options.member or self.files.name

    @property
    def replaced(self) -> MemberSection | None:
        """The version of the member that the ensemble uses, if there is one."""
        members = self.stored.manifest.members if self.stored else ()
        return next((member for member in members if member.name == self.member), None)


@dataclass(frozen=True, slots=True)
class AdaptedModel:
    """A model that a worker can run.

    model, decoder: files' contents; decoder: an encoder-decoder's
    labels: the ensemble's label for each output; none where the task has none
    problem_type: what a classifier's outputs are
    window_tokens, overlap_tokens, decoding: of an ensemble that is made for it
    changes: what was changed in the graph, a line each; warnings: what somebody should know
    batch_difference: the largest between a text's scores alone and in a batch; None of a model
        that writes text, which is compared to the bit as it is loaded
    """

    model: bytes
    producer: str
    precision: Precision
    window_tokens: int
    overlap_tokens: int
    decoder: bytes | None = None
    decoding: DecodingSection | None = None
    labels: tuple[str, ...] = ()
    problem_type: ProblemType = "single_label_classification"
    changes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    batch_difference: float | None = None
