"""What a user's own tests need: a broker in memory, an ensemble without model files, builders.

Nothing here is used by a running worker.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from tenacity import stop_after_attempt
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE, WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, ByteLevel
from tokenizers.processors import TemplateProcessing

from streamproc.batching.batcher import Limits
from streamproc.chunking.tokens import TextTokenizer
from streamproc.chunking.windows import Window
from streamproc.clock import Clock, SystemClock
from streamproc.decoders import assemble_decoding_engine
from streamproc.decoding.model import StepModel
from streamproc.decoding.room import RoomLimits
from streamproc.engine import Engine, Engines
from streamproc.ensembling.combine import Strategy
from streamproc.ensembling.labels import LabelMap
from streamproc.inference.executor import ModelExecutor
from streamproc.inference.outputs import Batch, FloatArray
from streamproc.inference.session import Session
from streamproc.loading import assemble_engine
from streamproc.messages.lane import Lane
from streamproc.messages.record import Headers, Outgoing, Record
from streamproc.metrics import Metrics
from streamproc.pipeline import Pipeline
from streamproc.publishing import Route
from streamproc.repository.manifest import DecodingSection
from streamproc.surroundings import Surroundings
from streamproc.tasks.catalogue import decoding_task_named, scoring_task_named
from streamproc.tasks.profile import EnsembleProfile, MemberProfile

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"


WORDS = ("good", "bad", "film", "the")


def build_tokenizer(words: Sequence[str] = WORDS) -> TextTokenizer:
    """A small BERT-like WordPiece tokenizer that knows `words` and single letters."""
    return TextTokenizer(tokenizer_json(words))


def tokenizer_json(words: Sequence[str] = WORDS) -> bytes:
    """What `build_tokenizer` reads, as a model repository keeps it in `tokenizer.json`."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words, *LETTERS, *(f"##{c}" for c in LETTERS)]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer.to_str().encode()  # type: ignore[no-any-return]


class ManualClock:
    """A clock that stands still until it is moved; sleeping moves it at once.

    now_ms: milliseconds since the epoch at the start; the default is `build_record`'s timestamp
    """

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = float(now_ms)

    def now_ms(self) -> int:
        return int(self._now_ms)

    def monotonic_s(self) -> float:
        return self._now_ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move the clock on."""
        self._now_ms += seconds * 1000


class ScriptedSession:
    """A member whose logits are a fixed function of a sequence's tokens and its own name.

    before: called with each batch first, in the model's thread; it may raise or block
    """

    def __init__(
        self, name: str, outputs: int = 2, before: Callable[[Batch], None] | None = None
    ) -> None:
        self.name = name
        self._outputs = outputs
        self._before = before

    def run(self, batch: Batch, call: Any) -> Sequence[FloatArray]:
        if self._before is not None:
            self._before(batch)
        return [
            self.logits(ids[:length]) for ids, length in zip(batch.ids, batch.lengths, strict=True)
        ]

    def logits(self, ids: FloatArray | np.ndarray[Any, np.dtype[np.int64]]) -> FloatArray:
        """(outputs,) for one sequence of token ids."""
        seed = hashlib.sha256(self.name.encode() + ids.astype(np.int64).tobytes()).digest()
        return np.frombuffer(seed[: 2 * self._outputs], np.uint16).astype(np.float64) / 16384 - 2


class ScriptedStepModel:
    """A member that decodes, whose logits are a fixed function of its name and a row's tokens.

    Its rows are the tokens themselves.
    before: called with the rows of each call first, in the model's thread; it may raise or block
    """

    def __init__(
        self,
        name: str,
        vocabulary: int,
        before: Callable[[tuple[tuple[int, ...], ...]], None] | None = None,
    ) -> None:
        self.name = name
        self._vocabulary = vocabulary
        self._before = before

    def start(
        self, ids: NDArray[np.int64], call: Any
    ) -> tuple[FloatArray, tuple[tuple[int, ...], ...]]:
        logits, rows = self._scored((tuple(ids.tolist()),))
        return logits[0], rows

    def step(
        self, rows: tuple[tuple[int, ...], ...], tokens: NDArray[np.int64], call: Any
    ) -> tuple[FloatArray, tuple[tuple[int, ...], ...]]:
        return self._scored(
            tuple((*row, token) for row, token in zip(rows, tokens.tolist(), strict=True))
        )

    def select(
        self, rows: tuple[tuple[int, ...], ...], indices: Sequence[int]
    ) -> tuple[tuple[int, ...], ...]:
        return tuple(rows[index] for index in indices)

    def join(self, parts: Sequence[tuple[tuple[int, ...], ...]]) -> tuple[tuple[int, ...], ...]:
        return tuple(row for part in parts for row in part)

    def logits(self, tokens: Sequence[int]) -> FloatArray:
        """(vocabulary,) of what follows these tokens."""
        seed = hashlib.sha256(self.name.encode() + np.array(tokens, np.int64).tobytes()).digest()
        return np.random.default_rng(list(seed)).normal(0.0, 2.0, self._vocabulary)

    def _scored(
        self, rows: tuple[tuple[int, ...], ...]
    ) -> tuple[FloatArray, tuple[tuple[int, ...], ...]]:
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


def build_decoding_profile(
    members: Sequence[str] = ("a", "b", "c"),
    *,
    tokenizer: TextTokenizer | None = None,
    strategy: Strategy = "mean",
    weights: Mapping[str, float] | None = None,
    quorum: int | None = None,
    max_tokens: int = 64,
    max_new_tokens: int = 8,
) -> EnsembleProfile:
    """An ensemble called "tiny" whose members write; the tokenizer's last token ends a text."""
    tokenizer = tokenizer or build_byte_tokenizer()
    return EnsembleProfile(
        name="tiny",
        digest="0" * 64,
        labels=(),
        members=tuple(
            MemberProfile(name, "1", (weights or {}).get(name, 1.0), LabelMap.none())
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
    profile: EnsembleProfile | None = None,
    models: Sequence[StepModel[Any]] | None = None,
    *,
    task: str = "text-generation",
    surroundings: Surroundings | None = None,
) -> Engine:
    """An engine of scripted members that decode, unless others are given."""
    profile = profile or build_decoding_profile()
    return assemble_decoding_engine(
        decoding_task_named(task),
        profile,
        models
        or [
            ScriptedStepModel(member.name, profile.tokenizer.vocabulary_size)
            for member in profile.members
        ],
        surroundings or build_surroundings(),
    )


def build_profile(
    members: Sequence[str] = ("a", "b", "c"),
    *,
    labels: Sequence[str] = ("negative", "positive"),
    member_labels: Mapping[str, Sequence[str]] | None = None,
    strategy: Strategy = "mean",
    quorum: int | None = None,
    max_tokens: int = 16,
    overlap_tokens: int = 4,
) -> EnsembleProfile:
    """An ensemble called "tiny"."""
    known = member_labels or {}
    return EnsembleProfile(
        name="tiny",
        digest="0" * 64,
        labels=tuple(labels),
        members=tuple(
            MemberProfile(name, "1", 1.0, LabelMap.between(name, known.get(name, labels), labels))
            for name in members
        ),
        strategy=strategy,
        needed_members=len(members) if quorum is None else quorum,
        tokenizer=build_tokenizer(),
        window=Window(max_tokens, overlap_tokens),
    )


def build_surroundings(
    executor: ModelExecutor | None = None,
    *,
    budget_tokens: int = 64,
    call_timeout_s: float = 30.0,
    max_document_chunks: int = 4,
    clock: Clock | None = None,
    room: RoomLimits | None = None,
) -> Surroundings:
    """What engines share, with bounds that tests reach."""
    return Surroundings(
        executor or ModelExecutor(2),
        Limits(budget_tokens, slots=2, max_wait_ms=0, max_queued_tokens=4096),
        call_timeout_s=call_timeout_s,
        max_document_chunks=max_document_chunks,
        clock=clock or SystemClock(),
        metrics=Metrics(),
        room=room or RoomLimits(),
    )


def build_engine(
    profile: EnsembleProfile | None = None,
    sessions: Sequence[Session] | None = None,
    *,
    task: str = "text-classification",
    budget_tokens: int = 64,
    call_timeout_s: float = 30.0,
    max_document_chunks: int = 4,
    executor: ModelExecutor | None = None,
    clock: Clock | None = None,
) -> Engine:
    """An engine of scripted members, unless others are given."""
    profile = profile or build_profile()
    return assemble_engine(
        scoring_task_named(task),
        profile,
        sessions
        or [ScriptedSession(member.name, member.labels.outputs) for member in profile.members],
        build_surroundings(
            executor,
            budget_tokens=budget_tokens,
            call_timeout_s=call_timeout_s,
            max_document_chunks=max_document_chunks,
            clock=clock,
        ),
    )


class MemoryBroker:
    """Keeps what is published, by topic.

    refuse: raises what the broker would, or returns
    """

    def __init__(self, refuse: Callable[[Outgoing], None] | None = None) -> None:
        self.topics: dict[str, list[Outgoing]] = {}
        self._refuse = refuse

    async def publish(self, record: Outgoing) -> None:
        if self._refuse is not None:
            self._refuse(record)
        self.topics.setdefault(record.topic, []).append(record)

    def values(self, topic: str) -> list[dict[str, Any]]:
        """The JSON values published to a topic, in order."""
        return [orjson.loads(record.value or b"null") for record in self.topics.get(topic, [])]


def build_route(
    lane: Lane = Lane.INTERACTIVE,
    *,
    max_message_bytes: int = 1_048_576,
    reply_topics: Sequence[str] = (),
) -> Route:
    """A route of text-classification to the ensemble "tiny"."""
    return Route(
        task="text-classification",
        lane=lane,
        ensemble="tiny",
        responses="responses",
        dead_letters="dlq",
        reply_topics=frozenset(reply_topics),
        max_message_bytes=max_message_bytes,
    )


def build_pipeline(
    broker: MemoryBroker,
    engine: Engine | None = None,
    *,
    route: Route | None = None,
    clock: Clock | None = None,
    attempts: int = 3,
) -> Pipeline:
    """A pipeline that publishes to `broker`."""
    return Pipeline(
        route or build_route(),
        Engines({"tiny": engine or build_engine()}),
        broker.publish,
        clock=clock or SystemClock(),
        metrics=Metrics(),
        give_up=stop_after_attempt(attempts),
    )


def build_record(
    value: Mapping[str, Any] | bytes | None,
    *,
    offset: int = 0,
    key: bytes | None = b"key",
    headers: Headers = (),
    timestamp_ms: int = 1_700_000_000_000,
) -> Record:
    """A record of the topic "requests"; a mapping becomes JSON."""
    content = orjson.dumps(value) if isinstance(value, Mapping) else value
    return Record("requests", 0, offset, timestamp_ms, key, content, headers)
