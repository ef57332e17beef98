"""One encoder-decoder member (Marian, T5, BART) as optimum exports it, a step at a time.

Two graphs: the encoder, and the merged decoder, whose `use_cache_branch` tells the first step,
which also makes the cache of the source that all later steps use, from those.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamproc.errors import MemberFailed, ModelRefused, StreamprocError
from streamproc.inference.outputs import FloatArray, Int64Array
from streamproc.inference.providers import Provider
from streamproc.inference.seq2seq_rows import SOURCE_BLOCK, Group, Seq2SeqRows, Source, SourceBatch
from streamproc.inference.session import failure_of, new_call, open_session

_ENCODER_INPUTS = ("input_ids", "attention_mask")
_HIDDEN = "last_hidden_state"
_DECODER_INPUTS = (
    "input_ids",
    "encoder_hidden_states",
    "encoder_attention_mask",
    "use_cache_branch",
)
_CACHE = re.compile(r"past_key_values\.(\d+)\.(decoder|encoder)\.(key|value)")
_FLOATS: dict[str, type[np.floating[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}


@dataclass(frozen=True, slots=True)
class Seq2SeqSignature:
    """What the decoder's graph told of itself.

    written, source: the names of its caches, of what was written and of the source
    heads, head_size: of every cache; hidden: size of the encoder's states
    vocabulary: how many tokens it scores
    """

    written: tuple[str, ...]
    source: tuple[str, ...]
    heads: int
    head_size: int
    hidden: int
    vocabulary: int
    dtype: type[np.floating[Any]]


class Seq2SeqModel:
    """A `StepModel` of an encoder and a merged decoder.

    A row's logits are equal to the bit whatever it is stepped beside, on ONNX Runtime's CPU
    provider: a source is encoded alone, and rows of one length are stepped together.
    """

    def __init__(
        self, name: str, encoder: bytes, decoder: bytes, start_token: int, provider: Provider
    ) -> None:
        """start_token: what the decoder begins with

        Raises ModelRefused with what was expected and what was found.
        """
        self.name = name
        self._start_token = start_token
        self._encoder = open_session(f"{name} (encoder)", encoder, provider)
        self._decoder = open_session(f"{name} (decoder)", decoder, provider)
        self._signature = _checked(name, self._encoder, self._decoder)
        self.vocabulary_size = self._signature.vocabulary
        if start_token >= self.vocabulary_size:
            raise ModelRefused(
                f"member {name}: decoding.start_token is {start_token}, "
                f"its vocabulary has {self.vocabulary_size} tokens"
            )

    def try_longest(self, tokens: int) -> None:
        """Step a row that has written all but one of so many tokens, all of them made up.

        Raises ModelRefused where the decoder has no positions for them.
        """
        about = self._signature
        source = Source(
            np.ones(SOURCE_BLOCK, np.int64),
            tuple(self._empty(1, SOURCE_BLOCK)[0] for _ in about.source),
        )
        written = tuple(self._empty(1, tokens - 1) for _ in about.written)
        try:
            self._step_group(
                Group(SourceBatch.of([source]), written), np.array([self._start_token]), new_call()
            )
        except StreamprocError as error:
            raise ModelRefused(
                f"member {self.name} fails on the last of {tokens} tokens; is decoding.max_tokens "
                f"more than its decoder has positions for? {error}"
            ) from None

    def start(self, ids: Int64Array, call: Any) -> tuple[FloatArray, Seq2SeqRows]:
        """Encode a source and take the decoder's first step.

        ids: (source tokens,); returns (vocabulary,) logits and one row
        """
        about = self._signature
        feeds = {"input_ids": ids[None], "attention_mask": np.ones((1, len(ids)), np.int64)}
        (states,) = self._run(self._encoder, [_HIDDEN], feeds, call)
        padded = -(-len(ids) // SOURCE_BLOCK) * SOURCE_BLOCK
        hidden = np.zeros((1, padded, about.hidden), about.dtype)
        hidden[:, : len(ids)] = states
        mask = np.zeros((1, padded), np.int64)
        mask[:, : len(ids)] = 1
        empty = {name: self._empty(1, padded) for name in about.source}
        empty |= {name: self._empty(1, 0) for name in about.written}
        logits, *caches = self._run(
            self._decoder,
            ["logits", *map(_present, (*about.source, *about.written))],
            {
                "input_ids": np.array([[self._start_token]], np.int64),
                "encoder_hidden_states": hidden,
                "encoder_attention_mask": mask,
                "use_cache_branch": np.array([False]),
                **empty,
            },
            call,
        )
        sources = len(about.source)
        source = Source(mask[0], tuple(cache[0] for cache in caches[:sources]))
        group = Group(SourceBatch.of([source]), tuple(caches[sources:]))
        return self._scores(logits)[0], Seq2SeqRows((group,), ((0, 0),))

    def step(
        self, rows: Seq2SeqRows, tokens: Int64Array, call: Any
    ) -> tuple[FloatArray, Seq2SeqRows]:
        """Append a token to each row; tokens: (rows,); returns (rows, vocabulary) logits, rows."""
        logits = np.empty((len(rows), self.vocabulary_size))
        groups = []
        for number, group in enumerate(rows.groups):
            members = rows.of_group(number)
            logits[members], stepped = self._step_group(group, tokens[members], call)
            groups.append(stepped)
        return logits, Seq2SeqRows(tuple(groups), rows.places)

    def select(self, rows: Seq2SeqRows, indices: Sequence[int]) -> Seq2SeqRows:
        """These rows in this order."""
        return rows.select(indices)

    def join(self, parts: Sequence[Seq2SeqRows]) -> Seq2SeqRows:
        """All rows of all parts, in order."""
        return Seq2SeqRows.joined(parts)

    def _step_group(self, group: Group, tokens: Int64Array, call: Any) -> tuple[FloatArray, Group]:
        about, sources = self._signature, group.sources
        logits, *written = self._run(
            self._decoder,
            ["logits", *map(_present, about.written)],
            {
                "input_ids": tokens[:, None],
                # Only the first step reads them; the graph wants an input of the right shape.
                "encoder_hidden_states": np.zeros((*sources.mask.shape, about.hidden), about.dtype),
                "encoder_attention_mask": sources.mask,
                "use_cache_branch": np.array([True]),
                **dict(zip(about.source, sources.cache, strict=True)),
                **dict(zip(about.written, group.written, strict=True)),
            },
            call,
        )
        return self._scores(logits), Group(sources, tuple(written))

    def _run(self, session: Any, outputs: list[str], feeds: dict[str, Any], call: Any) -> list[Any]:
        try:
            return list(session.run(outputs, feeds, call))
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
            raise failure_of(self.name, error) from None

    def _scores(self, logits: Any) -> FloatArray:
        """The last token's logits of each row, (rows, vocabulary)."""
        scores = np.asarray(logits[:, -1], np.float64)
        if not np.isfinite(scores).all():
            raise MemberFailed(self.name, "its scores are not finite numbers")
        return scores

    def _empty(self, rows: int, tokens: int) -> Any:
        about = self._signature
        return np.zeros((rows, about.heads, tokens, about.head_size), about.dtype)


def _present(past: str) -> str:
    return past.replace("past_key_values", "present")


def _checked(name: str, encoder: Any, decoder: Any) -> Seq2SeqSignature:
    """What the graphs tell of themselves; raises ModelRefused where they don't fit together."""
    encoder_inputs = {node.name: node for node in encoder.get_inputs()}
    encoder_outputs = {node.name: node for node in encoder.get_outputs()}
    inputs = {node.name: node for node in decoder.get_inputs()}
    outputs = {node.name: node for node in decoder.get_outputs()}
    _require(name, "encoder inputs", _ENCODER_INPUTS, encoder_inputs, exactly=True)
    _require(name, "an encoder output", (_HIDDEN,), encoder_outputs)
    caches = [found for found in inputs if _CACHE.fullmatch(found)]
    layers = 1 + max((int(cache.split(".")[1]) for cache in caches), default=0)
    source, written = (
        tuple(
            f"past_key_values.{layer}.{of}.{part}"
            for layer in range(layers)
            for part in ("key", "value")
        )
        for of in ("encoder", "decoder")
    )
    _require(name, "decoder inputs", (*_DECODER_INPUTS, *written, *source), inputs, exactly=True)
    _require(name, "decoder outputs", ("logits", *map(_present, (*written, *source))), outputs)
    floats = {inputs[cache].type for cache in caches} | {inputs["encoder_hidden_states"].type}
    sizes = {(inputs[cache].shape[1], inputs[cache].shape[3]) for cache in caches}
    hidden = {inputs["encoder_hidden_states"].shape[2], encoder_outputs[_HIDDEN].shape[-1]}
    vocabulary = outputs["logits"].shape[-1]
    for what, found in (("type of float", floats), ("cache size", sizes), ("hidden size", hidden)):
        if len(found) != 1:
            raise ModelRefused(
                f"member {name}: expected one {what} throughout encoder and decoder; "
                f"found {', '.join(sorted(map(str, found)))}"
            )
    (kind,), ((heads, head_size),), (hidden_size,) = floats, sizes, hidden
    fixed = (heads, head_size, hidden_size, vocabulary)
    if kind not in _FLOATS or not all(isinstance(size, int) for size in fixed):
        raise ModelRefused(
            f"member {name}: expected floats, with heads, head size, hidden size and vocabulary "
            f"fixed in the graph; found {kind} and {fixed}"
        )
    return Seq2SeqSignature(
        written, source, heads, head_size, hidden_size, vocabulary, _FLOATS[kind]
    )


def _require(
    name: str, what: str, expected: Sequence[str], found: Any, *, exactly: bool = False
) -> None:
    lacking = [wanted for wanted in expected if wanted not in found]
    strange = [there for there in found if there not in expected] if exactly else []
    if lacking or strange:
        raise ModelRefused(
            f"member {name}: expected {what} {', '.join(expected)} (as optimum exports them, the "
            f"decoder merged); lacking: {', '.join(lacking) or 'none'}; "
            f"not known: {', '.join(strange) or 'none'}; found: {', '.join(found)}"
        )
