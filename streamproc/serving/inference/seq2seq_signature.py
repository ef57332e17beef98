"""What the two graphs of an encoder-decoder must look like, and what they tell of themselves."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.errors import ModelRefused
from streamproc.serving.inference.cache_names import present
from streamproc.serving.inference.graph_session import GraphSession
from streamproc.types import FloatType

_ENCODER_INPUTS = ("input_ids", "attention_mask")
HIDDEN_STATES = "last_hidden_state"
_DECODER_INPUTS = (
    "input_ids",
    "encoder_hidden_states",
    "encoder_attention_mask",
    "use_cache_branch",
)
_CACHE = re.compile(r"past_key_values\.(\d+)\.(decoder|encoder)\.(key|value)")
_FLOATS: dict[str, FloatType] = {
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
    dtype: FloatType

    @classmethod
    def read(cls, name: str, encoder: GraphSession, decoder: GraphSession) -> Seq2SeqSignature:
        """What a member's graphs tell; raises ModelRefused where they don't fit together."""
        return _checked(name, encoder, decoder)


def _checked(name: str, encoder: GraphSession, decoder: GraphSession) -> Seq2SeqSignature:
    """What the graphs tell of themselves; raises ModelRefused where they don't fit together."""
    encoder_inputs = {node.name: node for node in encoder.get_inputs()}
    encoder_outputs = {node.name: node for node in encoder.get_outputs()}
    inputs = {node.name: node for node in decoder.get_inputs()}
    outputs = {node.name: node for node in decoder.get_outputs()}
    _require(name, "encoder inputs", _ENCODER_INPUTS, encoder_inputs, exactly=True)
    _require(name, "an encoder output", (HIDDEN_STATES,), encoder_outputs)
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
    _require(name, "decoder outputs", ("logits", *map(present, (*written, *source))), outputs)
    floats = {inputs[cache].type for cache in caches} | {inputs["encoder_hidden_states"].type}
    sizes = {(inputs[cache].shape[1], inputs[cache].shape[3]) for cache in caches}
    hidden = {inputs["encoder_hidden_states"].shape[2], encoder_outputs[HIDDEN_STATES].shape[-1]}
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
    name: str, what: str, expected: Sequence[str], found: Collection[str], *, exactly: bool = False
) -> None:
    lacking = [wanted for wanted in expected if wanted not in found]
    strange = [there for there in found if there not in expected] if exactly else []
    if lacking or strange:
        raise ModelRefused(
            f"member {name}: expected {what} {', '.join(expected)} (as optimum exports them, the "
            f"decoder merged); lacking: {', '.join(lacking) or 'none'}; "
            f"not known: {', '.join(strange) or 'none'}; found: {', '.join(found)}"
        )
