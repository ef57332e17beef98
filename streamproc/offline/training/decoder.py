"""Running a decoder that keeps keys and values of the past, and what it must hold to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamproc.offline.training.exporting import open_session
from streamproc.serving.verification.parity import FloatingArray
from streamproc.serving.verification.stepping import Logits, read_stepwise, require_same_logits
from streamproc.types import Int64Array

Past = dict[str, NDArray[np.float32]]


class OnnxDecoder:
    """A decoder's ONNX file as optimum exports it with a cache, on the CPU, on one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._session = open_session(path)
        self._inputs = {given.name for given in self._session.get_inputs()}
        self._pasts = [i for i in self._session.get_inputs() if i.name.startswith("past")]
        self._outputs = [output.name for output in self._session.get_outputs()]

    def read(self, ids: Int64Array) -> Logits:
        """(rows, tokens, vocabulary) logits of whole texts, read in one go."""
        return self.step(ids, self.nothing(len(ids)))[0]

    def nothing(self, rows: int) -> Past:
        """The past of a text not yet begun."""
        return {
            past.name: np.zeros((rows, past.shape[1], 0, past.shape[3]), dtype=np.float32)
            for past in self._pasts
        }

    def step(self, ids: Int64Array, past: Past) -> tuple[Logits, Past]:
        """Read on. ids: (rows, tokens); returns their logits, and the past with them."""
        before = next(iter(past.values())).shape[2]
        rows, tokens = ids.shape
        positions = np.arange(before, before + tokens, dtype=np.int64)
        feeds = {
            "input_ids": ids,
            "attention_mask": np.ones((rows, before + tokens), dtype=np.int64),
            "position_ids": np.tile(positions, (rows, 1)),
            **past,
        }
        # Models that tell places by distance alone, as Bloom does, take no positions.
        own = {name: value for name, value in feeds.items() if name in self._inputs}
        logits, *present = self._session.run(None, own)
        names = [name.replace("present", "past_key_values") for name in self._outputs[1:]]
        return logits, dict(zip(names, present, strict=True))


def check_decoder(
    decoder: OnnxDecoder,
    ids: Int64Array,
    expected: FloatingArray | None = None,
    own_error: float | None = None,
) -> float:
    """Read texts in one go, and half of them token by token, together and alone.

    ids:      (rows, tokens)
    expected: (rows, tokens, vocabulary), what torch says of them
    own_error: as `require_parity` has it
    returns:  the largest difference to what torch says, or without it between the two ways
    Raises TrainingError when it is too large, or when a row's logits depend on its batch.
    """
    half = ids.shape[1] // 2
    stepped = read_stepwise(
        str(decoder.path),
        lambda rows: decoder.step(ids[rows, :half], decoder.nothing(len(ids[rows]))),
        lambda tokens, _, past: decoder.step(tokens, past),
        ids[:, half : half + 16],
    )
    return require_same_logits(
        str(decoder.path), [decoder.read(ids), stepped], expected, own_error, of="text"
    )
