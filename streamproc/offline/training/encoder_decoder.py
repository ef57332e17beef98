"""Running an encoder-decoder that keeps what it has read and written, and what it must hold to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamproc.offline.training.decoder import Past
from streamproc.offline.training.exporting import open_session
from streamproc.offline.training.pair_batches import PairBatch
from streamproc.serving.verification.parity import FloatingArray
from streamproc.serving.verification.stepping import Logits, read_stepwise, require_same_logits
from streamproc.types import Int64Array


class OnnxEncoderDecoder:
    """An encoder and a merged decoder as optimum exports them, on the CPU, on one thread."""

    def __init__(self, encoder: Path, decoder: Path) -> None:
        self.encoder, self.decoder = encoder, decoder
        self._encoder, self._decoder = open_session(encoder), open_session(decoder)
        self._pasts = [i for i in self._decoder.get_inputs() if i.name.startswith("past")]
        self._outputs = [output.name for output in self._decoder.get_outputs()]

    def read(self, batch: PairBatch) -> Logits:
        """(pairs, tokens, vocabulary) logits after each token of whole translations."""
        return self.begin(batch.source, batch.source_mask, batch.written)[0]

    def begin(
        self, source: Int64Array, mask: Int64Array, written: Int64Array
    ) -> tuple[Logits, Past]:
        """Read sources and the beginnings of their translations; returns logits and the past."""
        (states,) = self._encoder.run(None, {"input_ids": source, "attention_mask": mask})
        nothing = {
            past.name: np.zeros((len(source), past.shape[1], 0, past.shape[3]), dtype=np.float32)
            for past in self._pasts
        }
        return self._run(written, states, mask, nothing, cached=False)

    def step(self, written: Int64Array, mask: Int64Array, past: Past) -> tuple[Logits, Past]:
        """Write on. written: (pairs, 1)."""
        # Only the first step reads the states; the graph wants an input of the right shape.
        width = self._encoder.get_outputs()[0].shape[-1]
        states = np.zeros((*mask.shape, width), dtype=np.float32)
        logits, present = self._run(written, states, mask, past, cached=True)
        # What was made of the source stays that of the first step: later ones hand back nothing.
        return logits, present | {name: past[name] for name in past if ".encoder." in name}

    def _run(
        self, written: Int64Array, states: Logits, mask: Int64Array, past: Past, *, cached: bool
    ) -> tuple[Logits, Past]:
        logits, *present = self._decoder.run(
            None,
            {
                "input_ids": written,
                "encoder_hidden_states": states,
                "encoder_attention_mask": mask,
                "use_cache_branch": np.array([cached]),
                **past,
            },
        )
        names = [name.replace("present", "past_key_values") for name in self._outputs[1:]]
        return logits, dict(zip(names, present, strict=True))


def check_encoder_decoder(
    model: OnnxEncoderDecoder,
    batch: PairBatch,
    expected: FloatingArray | None = None,
    own_error: float | None = None,
) -> float:
    """Read translations in one go and token by token, together and alone.

    expected: (pairs, tokens, vocabulary), what torch says of the batch
    own_error: as `require_parity` has it
    returns:  the largest difference to what torch says, or without it between the two ways
    Raises TrainingError when it is too large, or when a row's logits depend on its batch.
    """
    source, mask = batch.source, batch.source_mask
    stepped = read_stepwise(
        str(model.decoder),
        lambda rows: model.begin(source[rows], mask[rows], batch.written[rows, :1]),
        lambda tokens, rows, past: model.step(tokens, mask[rows], past),
        batch.written[:, 1:],
    )
    return require_same_logits(
        str(model.decoder),
        [model.read(batch), stepped],
        expected,
        own_error,
        of="pairs",
        counted=batch.targets >= 0,
    )
