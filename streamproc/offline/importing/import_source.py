"""What is being imported, and what it became before it is placed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from streamproc.offline.importing.configuration import Configuration
from streamproc.offline.importing.import_options import ImportOptions
from streamproc.offline.importing.prompter import Prompter
from streamproc.offline.importing.sources import Source
from streamproc.repository.decoding_section import DecodingSection
from streamproc.repository.manifest import Precision
from streamproc.repository.repository import StoredEnsemble


@dataclass(frozen=True, slots=True)
class ImportSource:
    """A model, and all that is known about it.

    source:    as ONNX
    tokenizer: a tokenizer.json's bytes
    labels:    the ensemble's label for each output, where that was settled before the export
    stored:    the ensemble it joins; None where one is made for it
    member:    its name
    """

    source: Source
    member: str
    wishes: ImportOptions
    configuration: Configuration
    tokenizer: bytes
    stored: StoredEnsemble | None
    questions: Prompter
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class AdaptedModel:
    """A model that a worker can run.

    model, decoder: files' contents; decoder: an encoder-decoder's
    labels: the ensemble's label for each output; none where the task has none
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
    changes: Sequence[str] = ()
    warnings: Sequence[str] = field(default=())
    batch_difference: float | None = None
