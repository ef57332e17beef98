"""Members that translate by copying, and ensembles of them: what goes in can be known again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing

from streamproc.errors import MemberFailed
from streamproc.messages.lane import Lane
from streamproc.repository.decoding_section import DecodingSection
from streamproc.serving.assembly import assemble_decoding_engine
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Window
from streamproc.serving.decoding.model import StepModel
from streamproc.serving.engine import Engine
from streamproc.serving.ensembling.labels import LabelMap
from streamproc.serving.tasks.catalogue import decoding_task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec, MemberSpec
from streamproc.serving.tasks.task import Answer
from streamproc.testing import build_context
from streamproc.types import FloatArray, Int64Array, Strategy

END, PAD = 0, 1
Row = tuple[tuple[int, ...], int]


def byte_tokenizer_json() -> bytes:
    """A token for every byte, so that any text is told and put together again exactly."""
    pieces = ["</s>", "<pad>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(BPE({piece: index for index, piece in enumerate(pieces)}, []))
    tokenizer.add_special_tokens(["</s>", "<pad>"])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", END)])
    return bytes(tokenizer.to_str().encode())


TOKENIZER = TextTokenizer(byte_tokenizer_json())


class Copying:
    """A StepModel that is nearly sure of the source's next token, and of each other one not at all.

    sure: how far above the others the next token's logit is
    fails_on: a text on which it fails
    """

    def __init__(
        self,
        name: str,
        sure: float = 9.0,
        fails_on: str | None = None,
        vocabulary: int = TOKENIZER.vocabulary_size,
    ) -> None:
        self.name = name
        self._vocabulary = vocabulary
        self._sure = sure
        self._fails_on = fails_on
        self.calls = 0

    def start(self, ids: Int64Array, call: Any) -> tuple[FloatArray, list[Row]]:
        self.calls += 1
        if self._fails_on is not None and TOKENIZER.decode(ids) == self._fails_on:
            raise MemberFailed(self.name, "can't bear it")
        row = (tuple(ids.tolist()), 0)
        return self._logits(row), [row]

    def step(self, rows: list[Row], tokens: Int64Array, call: Any) -> tuple[FloatArray, list[Row]]:
        self.calls += 1
        stepped = [(source, written + 1) for source, written in rows]
        return np.stack([self._logits(row) for row in stepped]), stepped

    def select(self, rows: list[Row], indices: Sequence[int]) -> list[Row]:
        return [rows[index] for index in indices]

    def join(self, parts: Sequence[list[Row]]) -> list[Row]:
        return [row for part in parts for row in part]

    def _logits(self, row: Row) -> FloatArray:
        source, written = row
        seed = hashlib.sha256(f"{self.name} {row}".encode()).digest()
        noise = np.frombuffer(seed, np.uint8).astype(np.float64) / 256
        logits = np.resize(noise, self._vocabulary)
        logits[source[written] if written < len(source) else END] += self._sure
        return logits


def build_translators(
    members: Sequence[str] = ("a", "b"),
    *,
    max_tokens: int = 64,
    quorum: int | None = None,
    strategy: Strategy = "mean",
    **decoding: Any,
) -> EnsembleSpec:
    """An ensemble called "tiny" that writes at most 80 tokens a sentence."""
    section = {"start_token": PAD, "end_tokens": (END,), "banned_tokens": (PAD,), "max_tokens": 80}
    return EnsembleSpec(
        name="tiny",
        digest="0" * 64,
        labels=(),
        members=tuple(MemberSpec(name, "1", 1.0, LabelMap.none()) for name in members),
        strategy=strategy,
        needed_members=len(members) if quorum is None else quorum,
        tokenizer=TOKENIZER,
        window=Window(max_tokens, 0),
        decoding=DecodingSection(**{**section, **decoding}),
    )


def build_translating_engine(
    spec: EnsembleSpec | None = None,
    models: Sequence[StepModel[Any]] | None = None,
    *,
    task: str = "translation",
    max_document_chunks: int = 4,
) -> Engine:
    """An engine of copying members, unless others are given."""
    spec = spec or build_translators()
    return assemble_decoding_engine(
        decoding_task_named(task),
        spec,
        models or [Copying(member.name) for member in spec.members],
        build_context(max_document_chunks=max_document_chunks),
    )


async def translated(engine: Engine, text: str, **params: Any) -> Answer:
    """An engine's answer to one request."""
    job = engine.task.begin({"text": text}, params, engine.spec)
    async for chunk, outputs in engine.scored_chunks(job, Lane.INTERACTIVE):
        job.add(chunk, outputs.result)
    return job.answer()
