"""MLServer: a custom runtime behind its adaptive batching, asked over HTTP."""

from __future__ import annotations

import asyncio

from mlserver import MLModel, types
from mlserver.codecs import NumpyCodec, StringCodec

from benchmarks.peers.scorer import Asked, Scorer


class Runtime(MLModel):  # type: ignore[misc]
    """Texts `text` to probabilities `scores`, a row for each text."""

    async def load(self) -> bool:
        self._scorer = Scorer.of(Asked.by_environment())
        return True

    async def predict(self, payload: types.InferenceRequest) -> types.InferenceResponse:
        texts = StringCodec.decode_input(payload.inputs[0])
        scores = await asyncio.to_thread(self._scorer.score, texts)
        return types.InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("scores", scores)]
        )
