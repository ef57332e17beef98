"""One encoder-decoder member (Marian, T5, BART) as optimum exports it, a step at a time.

Two graphs: the encoder, and the merged decoder, whose `use_cache_branch` tells the first step,
which also makes the cache of the source that all later steps use, from those.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamproc.errors import ModelRefused, StreamprocError
from streamproc.serving.guarded_calls import Call
from streamproc.serving.inference.cache_names import present
from streamproc.serving.inference.graph_session import GraphSession
from streamproc.serving.inference.providers import Provider
from streamproc.serving.inference.seq2seq_rows import (
    SOURCE_BLOCK,
    Group,
    Seq2SeqRows,
    Source,
    SourceBatch,
)
from streamproc.serving.inference.seq2seq_signature import HIDDEN_STATES, Seq2SeqSignature
from streamproc.serving.inference.session import require_finite, to_member_error
from streamproc.serving.inference.session_factory import open_session
from streamproc.types import AnyArray, FloatArray, Int64Array


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
        self._signature = Seq2SeqSignature.read(name, self._encoder, self._decoder)
        self.vocabulary_size = self._signature.vocabulary
        if start_token >= self.vocabulary_size:
            raise ModelRefused(
                f"member {name}: decoding.start_token is {start_token}, "
                f"its vocabulary has {self.vocabulary_size} tokens"
            )

    def try_longest(self, tokens: int, call: Call) -> None:
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
                Group(SourceBatch.of([source]), written), np.array([self._start_token]), call
            )
        except StreamprocError as error:
            raise ModelRefused(
                f"member {self.name} fails on the last of {tokens} tokens; is decoding.max_tokens "
                f"more than its decoder has positions for? {error}"
            ) from None

    def start(self, ids: Int64Array, call: Call) -> tuple[FloatArray, Seq2SeqRows]:
        """Encode a source and take the decoder's first step.

        ids: (source tokens,); returns (vocabulary,) logits and one row
        """
        about = self._signature
        feeds = {"input_ids": ids[None], "attention_mask": np.ones((1, len(ids)), np.int64)}
        (states,) = self._run(self._encoder, [HIDDEN_STATES], feeds, call)
        padded = -(-len(ids) // SOURCE_BLOCK) * SOURCE_BLOCK
        hidden = np.zeros((1, padded, about.hidden), about.dtype)
        hidden[:, : len(ids)] = states
        mask = np.zeros((1, padded), np.int64)
        mask[:, : len(ids)] = 1
        empty = {name: self._empty(1, padded) for name in about.source}
        empty |= {name: self._empty(1, 0) for name in about.written}
        logits, *caches = self._run(
            self._decoder,
            ["logits", *map(present, (*about.source, *about.written))],
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
        return self._scores(logits)[0], Seq2SeqRows.of(group)

    def step(
        self, rows: Seq2SeqRows, tokens: Int64Array, call: Call
    ) -> tuple[FloatArray, Seq2SeqRows]:
        """Append a token to each row; tokens: (rows,); returns (rows, vocabulary) logits, rows."""
        logits = np.empty((len(rows), self.vocabulary_size))
        places = list(rows.places)
        for group, of_group in rows.groups():
            logits[of_group], stepped = self._step_group(group, tokens[of_group], call)
            for place, row in enumerate(of_group):
                places[row] = (stepped, place)
        return logits, Seq2SeqRows(tuple(places))

    def select(self, rows: Seq2SeqRows, indices: Sequence[int]) -> Seq2SeqRows:
        """These rows in this order."""
        return rows.select(indices)

    def join(self, parts: Sequence[Seq2SeqRows]) -> Seq2SeqRows:
        """All rows of all parts, in order."""
        return Seq2SeqRows.joined(parts)

    def _step_group(self, group: Group, tokens: Int64Array, call: Call) -> tuple[FloatArray, Group]:
        about, sources = self._signature, group.sources
        logits, *written = self._run(
            self._decoder,
            ["logits", *map(present, about.written)],
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

    def _run(
        self, session: GraphSession, outputs: list[str], feeds: dict[str, AnyArray], call: Call
    ) -> list[AnyArray]:
        try:
            return list(session.run(outputs, feeds, call))
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
            raise to_member_error(self.name, error) from None

    def _scores(self, logits: AnyArray) -> FloatArray:
        """The last token's logits of each row, (rows, vocabulary)."""
        scores = np.asarray(logits[:, -1], np.float64)
        require_finite(self.name, scores)
        return scores

    def _empty(self, rows: int, tokens: int) -> AnyArray:
        about = self._signature
        return np.zeros((rows, about.heads, tokens, about.head_size), about.dtype)
