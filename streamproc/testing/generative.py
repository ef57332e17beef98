"""What a user's own tests of tasks that write text need: members without model files, builders.

Nothing here is used by a running worker.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from streamproc.repository.decoding_section import DecodingSection
from streamproc.serving.assembly import assemble_decoding_engine
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Window
from streamproc.serving.context import EngineContext
from streamproc.serving.decoding.model import StepModel
from streamproc.serving.engine import Engine
from streamproc.serving.ensembling.labels import LabelMap
from streamproc.serving.tasks.catalogue import decoding_task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec, MemberSpec
from streamproc.testing.builders import build_context
from streamproc.types import FloatArray, Strategy

Histories = tuple[tuple[int, ...], ...]
"""The tokens of each row, which is all that a scripted member remembers."""


class ScriptedStepModel:
    """A member that decodes, whose logits are a fixed function of its name and a row's tokens.

    Its rows are the tokens themselves.
    before: called with the rows of each call first, in the model's thread; it may raise or block
    """

    def __init__(
        self,
        name: str,
        vocabulary: int,
        before: Callable[[Histories], None] | None = None,
    ) -> None:
        self.name = name
        self._vocabulary = vocabulary
        self._before = before

    def start(self, ids: NDArray[np.int64], call: Any) -> tuple[FloatArray, Histories]:
        logits, rows = self._scored((tuple(ids.tolist()),))
        return logits[0], rows

    def step(
        self, rows: Histories, tokens: NDArray[np.int64], call: Any
    ) -> tuple[FloatArray, Histories]:
        return self._scored(
            tuple((*row, token) for row, token in zip(rows, tokens.tolist(), strict=True))
        )

    def select(self, rows: Histories, indices: Sequence[int]) -> Histories:
        return tuple(rows[index] for index in indices)

    def join(self, parts: Sequence[Histories]) -> Histories:
        return tuple(row for part in parts for row in part)

    def logits(self, tokens: Sequence[int]) -> FloatArray:
        """(vocabulary,) of what follows these tokens."""
        seed = hashlib.sha256(self.name.encode() + np.array(tokens, np.int64).tobytes()).digest()
        return np.random.default_rng(list(seed)).normal(0.0, 2.0, self._vocabulary)

    def _scored(self, rows: Histories) -> tuple[FloatArray, Histories]:
        if self._before is not None:
            self._before(rows)
        return np.stack([self.logits(row) for row in rows]), rows


def build_byte_tokenizer(end: str = "<end>") -> TextTokenizer:
    """A GPT-2-like tokenizer without merges: a token a byte of UTF-8, and last an end token."""
    return TextTokenizer(byte_tokenizer_json(end))


def byte_tokenizer_json(end: str = "<end>") -> bytes:
    """What `build_byte_tokenizer` reads, as a model repository keeps it in `tokenizer.json`."""
    vocabulary = {piece: index for index, piece in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = Tokenizer(BPE(vocabulary, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_special_tokens([end])
    return tokenizer.to_str().encode()  # type: ignore[no-any-return]


def build_decoding_spec(
    members: Sequence[str] = ("a", "b", "c"),
    *,
    tokenizer: TextTokenizer | None = None,
    strategy: Strategy = "mean",
    weights: Mapping[str, float] | None = None,
    quorum: int | None = None,
    max_tokens: int = 64,
    max_new_tokens: int = 8,
) -> EnsembleSpec:
    """An ensemble called "tiny" whose members write; the tokenizer's last token ends a text."""
    tokenizer = tokenizer or build_byte_tokenizer()
    return EnsembleSpec(
        name="tiny",
        digest="0" * 64,
        labels=(),
        members=tuple(
            MemberSpec(name, "1", (weights or {}).get(name, 1.0), LabelMap.none())
            for name in members
        ),
        strategy=strategy,
        needed_members=len(members) if quorum is None else quorum,
        tokenizer=tokenizer,
        window=Window(max_tokens, 0),
        decoding=DecodingSection(
            end_tokens=(tokenizer.vocabulary_size - 1,),
            max_tokens=max_tokens,
            max_new_tokens=max_new_tokens,
        ),
    )


def build_decoding_engine(
    spec: EnsembleSpec | None = None,
    models: Sequence[StepModel[Any]] | None = None,
    *,
    task: str = "text-generation",
    context: EngineContext | None = None,
) -> Engine:
    """An engine of scripted members that decode, unless others are given."""
    spec = spec or build_decoding_spec()
    return assemble_decoding_engine(
        decoding_task_named(task),
        spec,
        models
        or [
            ScriptedStepModel(member.name, spec.tokenizer.vocabulary_size)
            for member in spec.members
        ],
        context or build_context(),
    )
