"""What tests of your own code need.

    ScriptedClient   answers as a worker would, by what the test says
    MemoryBroker     keeps what a pipeline publishes: records in, records out, no Kafka
    build_pipeline   a pipeline of members without model files; build_record, what it is given
    ManualClock      time that moves when the test says

Nothing here is used by a running worker.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from tenacity import stop_after_attempt, stop_never
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from streamproc.clock import Clock, SystemClock
from streamproc.messages.lane import Lane
from streamproc.messages.publishing import ReplyRoute
from streamproc.messages.record import Headers, ProducerRecord, Record
from streamproc.metrics import Metrics
from streamproc.pipeline import Pipeline
from streamproc.serving.assembly import assemble_engine
from streamproc.serving.batching.batcher import Limits
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Window
from streamproc.serving.context import EngineContext
from streamproc.serving.decoding.kv_cache_budget import KVCacheLimits
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.ensembling.labels import LabelMap
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.members import Members
from streamproc.serving.inference.session import Session
from streamproc.serving.tasks.catalogue import scoring_task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec, MemberProfile
from streamproc.testing.client import ScriptedClient
from streamproc.types import FloatArray, Strategy

__all__ = [
    "WORDS",
    "ManualClock",
    "MemoryBroker",
    "ScriptedClient",
    "ScriptedSession",
    "build_context",
    "build_engine",
    "build_pipeline",
    "build_profile",
    "build_record",
    "build_route",
    "build_tokenizer",
    "tokenizer_json",
]

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
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
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
    per_token: a token's logits are a function of that token alone
    """

    def __init__(
        self,
        name: str,
        outputs: int = 2,
        before: Callable[[Batch], None] | None = None,
        *,
        per_token: bool = False,
    ) -> None:
        self.name = name
        self._outputs = outputs
        self._before = before
        self._per_token = per_token

    def run(self, batch: Batch, call: Any) -> Sequence[FloatArray]:
        if self._before is not None:
            self._before(batch)
        rows = [ids[:length] for ids, length in zip(batch.ids, batch.lengths, strict=True)]
        return [self.token_logits(ids) if self._per_token else self.logits(ids) for ids in rows]

    def token_logits(self, ids: np.ndarray[Any, np.dtype[np.int64]]) -> FloatArray:
        """(tokens, outputs), each row that of a sequence of this token alone."""
        return np.stack([self.logits(ids[place : place + 1]) for place in range(len(ids))])

    def logits(self, ids: FloatArray | np.ndarray[Any, np.dtype[np.int64]]) -> FloatArray:
        """(outputs,) for one sequence of token ids."""
        seed = hashlib.sha256(self.name.encode() + ids.astype(np.int64).tobytes()).digest()
        return np.frombuffer(seed[: 2 * self._outputs], np.uint16).astype(np.float64) / 16384 - 2


def build_profile(
    members: Sequence[str] = ("a", "b", "c"),
    *,
    labels: Sequence[str] = ("negative", "positive"),
    member_labels: Mapping[str, Sequence[str]] | None = None,
    strategy: Strategy = "mean",
    quorum: int | None = None,
    max_tokens: int = 16,
    overlap_tokens: int = 4,
) -> EnsembleSpec:
    """An ensemble called "tiny"; labels: none for a task without."""
    known = member_labels or {}
    return EnsembleSpec(
        name="tiny",
        digest="0" * 64,
        labels=tuple(labels),
        members=tuple(
            MemberProfile(
                name,
                "1",
                1.0,
                LabelMap.between(name, known.get(name, labels), labels)
                if labels
                else LabelMap.none(),
            )
            for name in members
        ),
        strategy=strategy,
        needed_members=len(members) if quorum is None else quorum,
        tokenizer=build_tokenizer(),
        window=Window(max_tokens, overlap_tokens),
    )


def build_context(
    executor: ModelExecutor | None = None,
    *,
    budget_tokens: int = 64,
    call_timeout_s: float = 30.0,
    max_document_chunks: int = 4,
    clock: Clock | None = None,
    kv_cache: KVCacheLimits | None = None,
) -> EngineContext:
    """What engines share, with bounds that tests reach."""
    return EngineContext(
        executor or ModelExecutor(2),
        Limits(budget_tokens, slots=2, max_wait_ms=0, max_queued_tokens=4096),
        call_timeout_s=call_timeout_s,
        max_document_chunks=max_document_chunks,
        clock=clock or SystemClock(),
        metrics=Metrics(),
        kv_cache=kv_cache or KVCacheLimits(),
    )


def build_engine(
    profile: EnsembleSpec | None = None,
    sessions: Sequence[Session[FloatArray]] | None = None,
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
    scoring = scoring_task_named(task)
    return assemble_engine(
        scoring,
        profile,
        Members(
            sessions
            or [
                ScriptedSession(
                    member.name,
                    member.labels.outputs or len(scoring.signature(0).outputs),
                    per_token=scoring.signature(member.labels.outputs).per_token,
                )
                for member in profile.members
            ]
        ),
        build_context(
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

    def __init__(self, refuse: Callable[[ProducerRecord], None] | None = None) -> None:
        self.topics: dict[str, list[ProducerRecord]] = {}
        self._refuse = refuse

    async def publish(self, record: ProducerRecord) -> None:
        if self._refuse is not None:
            self._refuse(record)
        self.topics.setdefault(record.topic, []).append(record)

    def values(self, topic: str) -> list[dict[str, Any]]:
        """The JSON values published to a topic, in order."""
        return [orjson.loads(record.value or b"null") for record in self.topics.get(topic, [])]


def build_route(
    lane: Lane = Lane.INTERACTIVE,
    *,
    task: str = "text-classification",
    max_message_bytes: int = 1_048_576,
    reply_topics: Sequence[str] = (),
) -> ReplyRoute:
    """A route of a task to the ensemble "tiny"."""
    return ReplyRoute(
        task=task,
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
    route: ReplyRoute | None = None,
    clock: Clock | None = None,
    attempts: int = 3,
) -> Pipeline:
    """A pipeline that publishes to `broker`.

    attempts: how often what the worker is at fault for is tried; 0: without end, as a worker does
    """
    return Pipeline(
        route or build_route(),
        Engines({"tiny": engine or build_engine()}),
        broker.publish,
        clock=clock or SystemClock(),
        metrics=Metrics(),
        stop_after=stop_after_attempt(attempts) if attempts else stop_never,
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
