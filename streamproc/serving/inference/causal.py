"""A decoder-only member, as optimum exports it with its cache: GPT-2, Llama and their like.

Inputs: input_ids, attention_mask, perhaps position_ids, and past_key_values.N.key and .value of
every layer N; outputs: logits, present.N.key and .value. Caches are (rows, heads, tokens, size).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamproc.errors import MemberFailed, ModelRefused, StreamprocError
from streamproc.serving.guarded_calls import Call
from streamproc.serving.inference.cache_columns import with_cache_columns
from streamproc.serving.inference.cache_names import PAST, present
from streamproc.serving.inference.cache_rows import (
    CacheShape,
    DeviceBlock,
    KVBlock,
    KVCacheView,
    claim_block,
)
from streamproc.serving.inference.device_array import DeviceArray, run_bound
from streamproc.serving.inference.graph_session import GraphSession, GraphValue
from streamproc.serving.inference.length_buckets import length_buckets
from streamproc.serving.inference.model import Model, open_model, weight_bytes
from streamproc.serving.inference.providers import CUDA, Provider
from streamproc.serving.inference.session import require_finite, to_member_error
from streamproc.serving.inference.signature import check_ids
from streamproc.types import AnyArray, FloatArray, FloatType, Int64Array

# A prompt is read in pieces: logits of all its tokens over a large vocabulary would take gigabytes.
PIECE_TOKENS = 256

Caches = Sequence[AnyArray] | Sequence[DeviceArray]
"""Of every layer its keys and values, each (rows, heads, columns, size), here or on the device."""

_NOTHING = np.empty(0)
_FLOATS: dict[str, FloatType] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class CausalModel:
    """A StepModel over one ONNX graph; one thread a call, several threads may call at once."""

    piece_tokens = PIECE_TOKENS

    def __init__(
        self, name: str, model: Model, provider: Provider, *, binds: bool | None = None
    ) -> None:
        """Load and check; raises ModelRefused with what was expected and what was found.

        binds: caches to the device's memory; None: where that is not the host's
        """
        self.name = name
        columns: dict[str, str] = {}
        if isinstance(model, bytes):
            model, columns = with_cache_columns(model)
        self._session = open_model(name, model, provider)
        wanted = provider.name == CUDA if binds is None else binds
        self._device = provider if wanted and hasattr(self._session, "io_binding") else None
        self._signature = _Signature.read(name, self._session)
        # Of a step the new columns are all that is wanted, which also are the last of the caches.
        self._columns = [columns[past] for past in self._signature.past if past in columns]
        # A call reads all weights once; padding is run over, and comes back.
        self._spare_columns = weight_bytes(model) // (3 * self._signature.shape.column_bytes)

    def try_longest(self, tokens: int, call: Call) -> None:
        """Step a row that holds all but one of so many tokens, all of them made up.

        Raises ModelRefused where the model has no positions for them.
        """
        made_up = self._signature.zeros(1, tokens - 1)
        try:
            self.step(self._held(made_up), np.zeros(1, np.int64), call)
        except StreamprocError as error:
            raise ModelRefused(
                f"member {self.name} fails on the last of {tokens} tokens; is decoding.max_tokens "
                f"more than it has positions for? {error}"
            ) from None

    def start(self, ids: Int64Array, call: Call) -> tuple[FloatArray, KVCacheView]:
        return self._read_on(self._signature.zeros(1, 0), 0, ids, call)

    def read_on(
        self, rows: KVCacheView, ids: Int64Array, call: Call
    ) -> tuple[FloatArray, KVCacheView]:
        (row,) = rows.rows
        if isinstance(row.block, DeviceBlock) and row.block.holds(rows.rows):
            return self._read_on(row.block.values, row.length, ids, call)
        return self._read_on(row.caches(), row.length, ids, call)

    def _read_on(
        self, past: Caches, read: int, ids: Int64Array, call: Call
    ) -> tuple[FloatArray, KVCacheView]:
        logits = np.empty((1, 0))
        for first in range(0, len(ids), PIECE_TOKENS):
            piece = ids[None, first : first + PIECE_TOKENS]
            logits, past = self._run(piece, past, np.array([read + first]), call)
        return logits[0], self._held(past)

    def step(
        self, rows: KVCacheView, tokens: Int64Array, call: Call
    ) -> tuple[FloatArray, KVCacheView]:
        scores: list[FloatArray] = [_NOTHING] * len(rows)
        after = list(rows.rows)
        for lot in length_buckets(rows.columns, self._spare_columns):
            places, logits, stepped = self._step_lot(rows.select(lot), tokens[lot], call)
            for place, number in enumerate(places):
                scores[lot[number]], after[lot[number]] = logits[place], stepped.rows[place]
        return np.stack(scores), KVCacheView(tuple(after))

    def _step_lot(
        self, rows: KVCacheView, tokens: Int64Array, call: Call
    ) -> tuple[list[int], FloatArray, KVCacheView]:
        """Which row is in each place, and logits and rows by their places."""
        last = rows.rows[0].block
        if isinstance(last, DeviceBlock) and last.holds(rows.rows):
            stepped = self._step_on_device(rows.lengths, last.values, tokens, call)
            return list(range(len(rows))), *stepped
        block, order = claim_block(rows.rows)
        try:
            lengths, past = rows.lengths[order], block.caches(len(order))
            if self._device is not None:
                return order, *self._step_on_device(lengths, past, tokens[order], call)
            columns = self._columns or None
            logits, new = self._run(tokens[order, None], past, lengths, call, columns)
            block.append([np.asarray(cache)[:, :, -1] for cache in new])
            after = [block.row(*at) for at in enumerate((lengths + 1).tolist())]
            return order, logits, KVCacheView(tuple(after))
        finally:
            block.release()

    def _step_on_device(
        self, lengths: Int64Array, past: Caches, tokens: Int64Array, call: Call
    ) -> tuple[FloatArray, KVCacheView]:
        logits, made = self._run(tokens[:, None], past, lengths, call)
        return logits, self._left_on_device(made, lengths + 1)

    def read(self, ids: Int64Array, call: Call) -> AnyArray:
        """What comes after each token of sequences of one length, told from those before it.

        ids: (rows, tokens); returns: (rows, tokens, vocabulary) logits, floats as the model has
        them, all in memory at once
        Raises MemberFailed, also where the model scores what follows the last token alone.
        """
        nothing = np.zeros(len(ids), np.int64)
        logits, _ = self._logits(ids, self._signature.zeros(len(ids), 0), nothing, call)
        if logits.shape[1] != ids.shape[1]:
            raise MemberFailed(self.name, "it scores the token after the last alone")
        require_finite(self.name, logits)
        return logits

    def select(self, rows: KVCacheView, indices: Sequence[int]) -> KVCacheView:
        return rows.select(indices)

    def join(self, parts: Sequence[KVCacheView]) -> KVCacheView:
        return KVCacheView.join(parts)

    def _held(self, caches: Caches) -> KVCacheView:
        """caches: each (1, heads, tokens, size), of one row."""
        if isinstance(caches[0], DeviceArray):
            return self._left_on_device(caches, np.array([caches[0].value.shape()[2]]))
        arrays = [np.asarray(cache) for cache in caches]
        block = KVBlock(self._signature.shape, 1, arrays[0].shape[2], arrays)
        return KVCacheView((block.row(0, block.columns),))

    def _left_on_device(self, caches: Caches, lengths: Int64Array) -> KVCacheView:
        values = [cache for cache in caches if isinstance(cache, DeviceArray)]
        block = DeviceBlock(self._signature.shape, values)
        return KVCacheView(tuple(block.row(*at) for at in enumerate(lengths.tolist())))

    def _run(
        self,
        ids: Int64Array,
        past: Caches,
        lengths: Int64Array,
        call: Call,
        caches: Sequence[str] | None = None,
    ) -> tuple[FloatArray, Caches]:
        """ids: (rows, new tokens); returns (rows, vocabulary) logits of what follows the last."""
        logits, made = self._logits(ids, past, lengths, call, caches)
        last = np.asarray(logits[:, -1], np.float64)
        require_finite(self.name, last)
        return last, made

    def _logits(
        self,
        ids: Int64Array,
        past: Caches,
        lengths: Int64Array,
        call: Call,
        caches: Sequence[str] | None = None,
    ) -> tuple[AnyArray, Caches]:
        """Logits for every new token, (rows, new tokens, vocabulary), as the graph gives them.

        caches:  outputs to return beside them; None: the caches with the new tokens
        past:    each (rows, heads, columns, size)
        lengths: (rows,) how many of the columns, the last ones, are a row's own
        """
        signature = self._signature
        first = past[0]
        columns = (first.value.shape() if isinstance(first, DeviceArray) else first.shape)[2]
        mask = np.ones((len(ids), columns + ids.shape[1]), np.int64)
        mask[:, :columns] = np.arange(columns) >= columns - lengths[:, None]
        feeds: dict[str, AnyArray] = {}
        feeds["input_ids"], feeds["attention_mask"] = ids, mask
        if signature.positions:
            feeds["position_ids"] = lengths[:, None] + np.arange(ids.shape[1])
        try:
            outputs = ["logits", *(caches or signature.present)]
            if self._device is not None:
                bound: dict[str, AnyArray | DeviceArray] = {**feeds}
                bound.update(zip(signature.past, past, strict=True))
                return run_bound(self._session, self._device, bound, outputs, call)
            feeds |= zip(signature.past, map(np.asarray, past), strict=True)
            logits, *made = self._session.run(outputs, feeds, call)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
            raise to_member_error(self.name, error) from None
        return logits, made


class _Signature:
    """What a graph calls its caches, and how they are shaped."""

    def __init__(self, past: Sequence[str], shape: CacheShape, *, positions: bool) -> None:
        self.past = tuple(past)
        self.present = tuple(map(present, past))
        self.positions = positions
        self.shape = shape

    def zeros(self, rows: int, tokens: int) -> list[AnyArray]:
        """Caches of rows that hold so many tokens of nothing."""
        return [
            np.zeros((rows, heads, tokens, size), self.shape.dtype)
            for heads, size in self.shape.heads
        ]

    @classmethod
    def read(cls, member: str, session: GraphSession) -> _Signature:
        """From a session's inputs and outputs; raises ModelRefused."""
        inputs = {node.name: node for node in session.get_inputs()}
        outputs = {node.name: node for node in session.get_outputs()}
        past = sorted(
            (name for name in inputs if PAST.fullmatch(name)),
            key=lambda name: (int(name.split(".")[1]), name),
        )
        known = {"input_ids", "attention_mask", "position_ids", *past}
        if (
            not past
            or not {"input_ids", "attention_mask"} <= inputs.keys() <= known
            or not {"logits", *map(present, past)} <= outputs.keys()
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
        heads = tuple(_heads_and_size(member, inputs[name]) for name in past)
        types = {inputs[name].type for name in past}
        if len(types) > 1:
            raise ModelRefused(
                f"member {member}: its caches must be of one type; found {', '.join(sorted(types))}"
            )
        shape = CacheShape(heads, _FLOATS[types.pop()])
        return cls(past, shape, positions="position_ids" in inputs)


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
