"""Members without model files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from streamproc.serving.inference.batch import Batch
from streamproc.types import FloatArray


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
