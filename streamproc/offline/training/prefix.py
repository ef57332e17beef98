"""Layers that stay as the base has them, and so run once before all members of an ensemble."""

from __future__ import annotations

import hashlib
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertModel

from streamproc.errors import TrainingError
from streamproc.offline.corpus.text_samples import TextSample
from streamproc.offline.training.exporting import export_prefix
from streamproc.offline.training.labelled_chunks import EncodedText, groups_by_length, mixed_lengths
from streamproc.offline.training.on_disk import ByteRows
from streamproc.offline.training.pruning import PruneConfig, prune_model
from streamproc.offline.training.static_int8 import quantise
from streamproc.offline.training.vocabulary import Vocabulary
from streamproc.serving.inference.batch import BackboneOutput, Batch, HiddenStates, ModelInput
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.session import BackboneSession, new_call
from streamproc.serving.verification.scores import Score, count_batch_variant, require_same_scores
from streamproc.types import Float32Array, FloatArray

_CALIBRATION_TEXTS = 400
_CHECKED_TEXTS = 64
# Of hidden states that are kept on disk, so that no chunk runs through frozen layers twice.
_KEPT_BYTES = 6 * 2**30


class Prefix:
    """Frozen layers in the form they are served in, so that members learn to live with it.

    model: the ONNX file's bytes
    width: numbers of a token's hidden state
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        self.sha256 = hashlib.sha256(model).hexdigest()
        self._session = BackboneSession(model, Provider(CPU))
        self.width = self._session.width
        # On disk, and by digests: hidden states are far larger than the texts.
        self._known: dict[bytes, int] = {}
        self._states = ByteRows()

    def read(self, sequences: Sequence[ModelInput]) -> Sequence[BackboneOutput]:
        """The sequences with their hidden states."""
        keys = [_digest(sequence) for sequence in sequences]
        hidden: Sequence[Float32Array]
        if all(key in self._known for key in keys):
            kept = (self._states[self._known[key]] for key in keys)
            hidden = [np.frombuffer(row, np.float32).reshape(-1, self.width) for row in kept]
        else:
            run = self._session.run(Batch.pad(sequences), new_call())
            hidden = [states.here() for states in run]
            self._keep(keys, hidden)
        return [
            BackboneOutput(sequence.ids, sequence.type_ids, HiddenStates.of(states))
            for sequence, states in zip(sequences, hidden, strict=True)
        ]

    def _keep(self, keys: Sequence[bytes], hidden: Sequence[Float32Array]) -> None:
        for key, states in zip(keys, hidden, strict=True):
            room = _KEPT_BYTES - self._states.size_bytes
            if key not in self._known and states.nbytes <= room:
                self._known[key] = len(self._states)
                self._states.append(states.tobytes())


def _digest(sequence: ModelInput) -> bytes:
    digest = hashlib.blake2b(sequence.ids.tobytes(), digest_size=16)
    digest.update(sequence.type_ids.tobytes())
    return digest.digest()


def make_prefix(
    base: Path,
    layers: int,
    vocabulary: Vocabulary,
    texts: Sequence[TextSample],
    positions: int,
) -> Prefix:
    """The base's embeddings and first layers as an int8 graph; the same for the same arguments.

    texts: what the ranges of activations are taken from
    positions: the longest input, in tokens
    Raises TrainingError when ONNX and torch disagree, or when a text's hidden states depend on
    what it is batched with.
    """
    first_layers = PruneConfig(tuple(range(layers)), None, positions=positions)
    model = prune_model(base, first_layers, vocabulary.kept, (), 0, "BertForQuestionAnswering").bert
    read = _encode(texts, vocabulary.tokenizer, positions)
    checked = mixed_lengths(read, _CHECKED_TEXTS)
    groups = groups_by_length(np.array([len(one.ids) for one in read]), 16)
    with tempfile.TemporaryDirectory() as folder:
        fp32, int8 = Path(folder) / "prefix.onnx", Path(folder) / "prefix-int8.onnx"
        export_prefix(model, fp32)
        what = "The frozen layers' states"
        require_same_scores(what, _torch_states(model), _onnx_states(fp32), checked)
        quantise(fp32, int8, (Batch.pad([read[place] for place in group]) for group in groups))
        if count_batch_variant(_onnx_states(int8), checked):
            raise TrainingError("The frozen layers give a text other states in a batch than alone.")
        return Prefix(int8.read_bytes())


def _encode(texts: Sequence[TextSample], tokenizer: Tokenizer, max_tokens: int) -> list[ModelInput]:
    """Some of the texts and pairs, spread over all, each cut at the longest input."""
    order = random.Random(0)  # noqa: S311  # an order to be repeated, not a secret
    drawn = order.sample(list(texts), min(len(texts), _CALIBRATION_TEXTS))
    encodings = [tokenizer.encode(first, second) for first, second in drawn]
    return [
        EncodedText(np.array(one.ids[:max_tokens]), np.array(one.type_ids[:max_tokens]))
        for one in encodings
    ]


def _onnx_states(path: Path) -> Score:
    session = BackboneSession(path.read_bytes(), Provider(CPU))
    return lambda sequences: [
        states.here().astype(np.float64) for states in session.run(Batch.pad(sequences), new_call())
    ]


def _torch_states(model: BertModel) -> Score:
    def score(sequences: Sequence[ModelInput]) -> Sequence[FloatArray]:
        batch = Batch.pad(sequences)
        model.eval()
        with torch.inference_mode():
            output = model(
                input_ids=torch.from_numpy(batch.ids),
                attention_mask=torch.from_numpy(batch.mask),
                token_type_ids=torch.from_numpy(batch.type_ids),
            )
        states = output.last_hidden_state.double().numpy()
        return [row[:length] for row, length in zip(states, batch.lengths, strict=True)]

    return score
