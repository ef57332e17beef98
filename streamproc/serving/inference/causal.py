"""A decoder-only member, as optimum exports it with its cache: GPT-2, Llama and their like.

Inputs: input_ids, attention_mask, perhaps position_ids, and past_key_values.N.key and .value of
every layer N; outputs: logits, present.N.key and .value. Caches are (rows, heads, tokens, size).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

import numpy as np

from streamproc.errors import MemberFailed, ModelRefused, StreamprocError
from streamproc.serving.guarded_calls import Call
from streamproc.serving.inference.cache_rows import Cache, KVBuffer, KVCacheView
from streamproc.serving.inference.graph_session import GraphSession, GraphValue
from streamproc.serving.inference.length_buckets import length_buckets
from streamproc.serving.inference.model import Model, open_model, weight_bytes
from streamproc.serving.inference.providers import Provider
from streamproc.serving.inference.session import require_finite, to_member_error
from streamproc.serving.inference.signature import check_ids
from streamproc.types import AnyArray, FloatArray, FloatType, Int64Array

# A prompt is read in pieces: logits of all its tokens over a large vocabulary would take gigabytes.
PIECE_TOKENS = 256

_NOTHING = np.empty(0)
_FLOATS: dict[str, FloatType] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_PAST = re.compile(r"past_key_values\.(\d+)\.(key|value)")


class CausalModel:
    """A StepModel over one ONNX graph; one thread a call, several threads may call at once."""

    def __init__(self, name: str, model: Model, provider: Provider) -> None:
        """Load and check; raises ModelRefused with what was expected and what was found."""
        self.name = name
        self._session = open_model(name, model, provider)
        self._signature = _Signature.read(name, self._session)
        # A call reads all weights once; padding is copied, run over, and comes back.
        self._spare_columns = weight_bytes(model) // (3 * self._signature.column_bytes)
        # One for each call under way at a time.
        self._spare: deque[KVBuffer] = deque()

    def try_longest(self, tokens: int, call: Call) -> None:
        """Step a row that holds all but one of so many tokens, all of them made up.

        Raises ModelRefused where the model has no positions for them.
        """
        cache = self._signature.empty_cache(tokens - 1)
        try:
            self.step(KVCacheView.of(cache), np.zeros(1, np.int64), call)
        except StreamprocError as error:
            raise ModelRefused(
                f"member {self.name} fails on the last of {tokens} tokens; is decoding.max_tokens "
                f"more than it has positions for? {error}"
            ) from None

    def start(self, ids: Int64Array, call: Call) -> tuple[FloatArray, KVCacheView]:
        cache = self._signature.empty_cache()
        logits = np.empty((1, 0))
        for first in range(0, len(ids), PIECE_TOKENS):
            piece = ids[None, first : first + PIECE_TOKENS]
            logits, cache = self._run(piece, list(cache.tensors), cache.lengths, call)
        return logits[0], KVCacheView.of(cache)

    def step(
        self, rows: KVCacheView, tokens: Int64Array, call: Call
    ) -> tuple[FloatArray, KVCacheView]:
        lots = length_buckets(rows.columns, self._spare_columns)
        scores: list[FloatArray] = [_NOTHING] * len(rows)
        places = list(rows.places)
        memory = self._memory()
        memory.keep(len(lots))
        try:
            for number, lot in enumerate(lots):
                of_lot = rows.select(lot)
                past = of_lot.padded(memory, number)
                logits, cache = self._run(tokens[lot, None], past, of_lot.lengths, call)
                if len(lots) == 1:
                    return logits, KVCacheView.of(cache)
                for place, row in enumerate(lot):
                    scores[row], places[row] = logits[place], (cache, place)
        finally:
            self._spare.append(memory)
        return np.stack(scores), KVCacheView(tuple(places))

    def read(self, ids: Int64Array, call: Call) -> AnyArray:
        """What comes after each token of sequences of one length, told from those before it.

        ids: (rows, tokens); returns: (rows, tokens, vocabulary) logits, floats as the model has
        them, all in memory at once
        Raises MemberFailed, also where the model scores what follows the last token alone.
        """
        cache = self._signature.empty_cache(rows=len(ids))
        logits, _ = self._logits(ids, list(cache.tensors), cache.lengths, call)
        if logits.shape[1] != ids.shape[1]:
            raise MemberFailed(self.name, "it scores the token after the last alone")
        require_finite(self.name, logits)
        return logits

    def select(self, rows: KVCacheView, indices: Sequence[int]) -> KVCacheView:
        return rows.select(indices)

    def join(self, parts: Sequence[KVCacheView]) -> KVCacheView:
        return KVCacheView.join(parts)

    def _memory(self) -> KVBuffer:
        # The oldest, so that all take turns and none keeps what a burst once needed.
        try:
            return self._spare.popleft()
        except IndexError:
            return KVBuffer()

    def _run(
        self, ids: Int64Array, past: list[AnyArray], lengths: Int64Array, call: Call
    ) -> tuple[FloatArray, Cache]:
        """ids: (rows, new tokens); returns (rows, vocabulary) logits of what follows the last."""
        logits, cache = self._logits(ids, past, lengths, call)
        last = np.asarray(logits[:, -1], np.float64)
        require_finite(self.name, last)
        return last, cache

    def _logits(
        self, ids: Int64Array, past: list[AnyArray], lengths: Int64Array, call: Call
    ) -> tuple[AnyArray, Cache]:
        """The same for every new token, (rows, new tokens, vocabulary), as the graph gives it."""
        signature = self._signature
        columns = past[0].shape[2]
        mask = np.ones((len(ids), columns + ids.shape[1]), np.int64)
        mask[:, :columns] = np.arange(columns) >= columns - lengths[:, None]
        feeds: dict[str, AnyArray] = dict(zip(signature.past, past, strict=True))
        feeds["input_ids"], feeds["attention_mask"] = ids, mask
        if signature.positions:
            feeds["position_ids"] = lengths[:, None] + np.arange(ids.shape[1])
        try:
            logits, *present = self._session.run(["logits", *signature.present], feeds, call)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
            raise to_member_error(self.name, error) from None
        return logits, Cache(tuple(present), lengths + ids.shape[1])


class _Signature:
    """What a graph calls its caches, and how they are shaped."""

    def __init__(
        self, shapes: dict[str, tuple[int, int]], dtype: FloatType, *, positions: bool
    ) -> None:
        """shapes: of each past, by name, its heads and their size."""
        self.past = tuple(shapes)
        self.present = tuple(name.replace("past_key_values", "present") for name in shapes)
        self.positions = positions
        self._shapes = shapes
        self._dtype = dtype

    @property
    def column_bytes(self) -> int:
        """What a token takes in the cache, all layers together."""
        values = sum(heads * size for heads, size in self._shapes.values())
        return values * int(np.dtype(self._dtype).itemsize)

    def empty_cache(self, tokens: int = 0, rows: int = 1) -> Cache:
        """Of rows that hold nothing yet, or so many tokens of nothing."""
        tensors = tuple(
            np.zeros((rows, heads, tokens, size), self._dtype)
            for heads, size in self._shapes.values()
        )
        return Cache(tensors, np.full(rows, tokens, np.int64))

    @classmethod
    def read(cls, member: str, session: GraphSession) -> _Signature:
        """From a session's inputs and outputs; raises ModelRefused."""
        inputs = {node.name: node for node in session.get_inputs()}
        outputs = {node.name: node for node in session.get_outputs()}
        past = sorted(
            (name for name in inputs if _PAST.fullmatch(name)),
            key=lambda name: (int(name.split(".")[1]), name),
        )
        known = {"input_ids", "attention_mask", "position_ids", *past}
        present = [name.replace("past_key_values", "present") for name in past]
        if (
            not past
            or not {"input_ids", "attention_mask"} <= inputs.keys() <= known
            or not {"logits", *present} <= outputs.keys()
        ):
            raise ModelRefused(
                f"member {member}: expected inputs input_ids, attention_mask (and perhaps "
                "position_ids) and a cache past_key_values.N.key and .value of every layer N, and "
                "outputs logits and present.N.key and .value, as optimum exports "
                f"text-generation-with-past; found inputs {', '.join(inputs)} and outputs "
                f"{', '.join(outputs)}"
            )
        for name, node in inputs.items():
            if name not in past:
                check_ids(member, node)
        logits = outputs["logits"]
        if logits.type not in _FLOATS or len(logits.shape) != 3:
            raise ModelRefused(
                f"member {member}: output logits must be floats of (rows, tokens, vocabulary); "
                f"found {logits.type} of {logits.shape}"
            )
        shapes = {name: _heads_and_size(member, inputs[name]) for name in past}
        types = {inputs[name].type for name in past}
        if len(types) > 1:
            raise ModelRefused(
                f"member {member}: its caches must be of one type; found {', '.join(sorted(types))}"
            )
        return cls(shapes, _FLOATS[types.pop()], positions="position_ids" in inputs)


def _heads_and_size(member: str, node: GraphValue) -> tuple[int, int]:
    shape = node.shape
    if (
        node.type not in _FLOATS
        or len(shape) != 4
        or any(isinstance(shape[axis], int) for axis in (0, 2))
        or not all(isinstance(shape[axis], int) for axis in (1, 3))
    ):
        raise ModelRefused(
            f"member {member}: cache {node.name} must be floats of (rows, heads, tokens, size), "
            f"heads and size fixed, rows and tokens dynamic; found {node.type} of {shape}"
        )
    return shape[1], shape[3]
