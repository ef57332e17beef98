"""Running an encoder-decoder that keeps what it has read and written, and what it must hold to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamproc.errors import TrainingError
from streamproc.offline.training.decoder import Logits, Past
from streamproc.offline.training.exporting import open_session
from streamproc.offline.training.pair_batches import PairBatch
from streamproc.offline.training.parity import FloatingArray, require_parity
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
    Raises TrainingError when it is too large, or when a row's logits change with its company.
    """
    whole = model.read(batch)
    source, mask = batch.source, batch.source_mask
    together, past = model.begin(source, mask, batch.written[:, :1])
    alone, own = model.begin(source[:1], mask[:1], batch.written[:1, :1])
    read, same = [together], alone.tobytes() == together[:1].tobytes()
    for token in range(1, batch.written.shape[1]):
        following = batch.written[:, token : token + 1]
        together, past = model.step(following, mask, past)
        alone, own = model.step(following[:1], mask[:1], own)
        same &= alone.tobytes() == together[:1].tobytes()
        read.append(together)
    if not same:
        raise TrainingError(f"{model.decoder}: a text gets another answer in a batch than alone.")
    asked = (batch.targets >= 0)[..., None]
    right = whole if expected is None else expected
    stepped = np.concatenate(read, axis=1)
    # NumPy's maximum, unlike Python's, is no number where one of them is none.
    difference = float(np.max([(np.abs(said - right) * asked).max() for said in (whole, stepped)]))
    to = "torch's" if expected is not None else "those of the same pairs read in one go"
    require_parity(f"{model.decoder}: logits", difference, right, own_error, to=to)
    return difference
