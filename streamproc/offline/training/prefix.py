"""Layers that stay as the base has them, and so run once before all members of an ensemble."""

from __future__ import annotations

import hashlib
import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import BertModel

from streamproc.errors import TrainingError
from streamproc.offline.corpus.text_samples import TextSample
from streamproc.offline.training.exporting import (
    HIDDEN_STATES,
    checked_difference,
    export_prefix,
    onnx_inputs,
    open_session,
    rows_change_in_company,
)
from streamproc.offline.training.on_disk import ByteRows
from streamproc.offline.training.pruning import PruneConfig, prune_model
from streamproc.offline.training.scoring import RunBatch
from streamproc.offline.training.static_int8 import quantise
from streamproc.offline.training.vocabulary import Vocabulary
from streamproc.offline.training.windows import Batch, Cut, Window, batches, cut, mixed

Hidden = NDArray[np.float32]

_CALIBRATION_WORDINGS = 400
_CHECKED_WINDOWS = 64
# Of hidden states that are remembered on disk, so that no window runs through frozen layers twice.
_REMEMBERED_BYTES = 6 * 2**30


class Prefix:
    """Frozen layers in the form they are served in, so that members learn to live with it.

    model: the ONNX file's bytes
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        self.sha256 = hashlib.sha256(model).hexdigest()
        # On disk, and by digests: what is remembered is far larger than the texts.
        self._known: dict[bytes, int] = {}
        self._states = ByteRows()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "prefix.onnx"
            path.write_bytes(model)
            self._run = prefix_runner(open_session(path))

    def attach(self, batch: Batch) -> Batch:
        """The batch with its hidden states; those of padding are zeros."""
        if batch.hidden is not None:
            return batch
        keys = [_digest(window) for window in batch.windows]
        if all(key in self._known for key in keys):
            read = (self._states.read(self._known[key]) for key in keys)
            rows = [
                np.frombuffer(states, dtype=np.float32).reshape(len(window.ids), -1)
                for states, window in zip(read, batch.windows, strict=True)
            ]
        else:
            hidden = self._run(batch)
            rows = [row[: len(w.ids)] for row, w in zip(hidden, batch.windows, strict=True)]
            self._remember(keys, rows)
        padded = np.zeros((*batch.input_ids.shape, rows[0].shape[-1]), dtype=np.float32)
        for place, row in zip(padded, rows, strict=True):
            place[: len(row)] = row
        return replace(batch, hidden=padded)

    def _remember(self, keys: Sequence[bytes], rows: Sequence[Hidden]) -> None:
        for key, row in zip(keys, rows, strict=True):
            room = _REMEMBERED_BYTES - self._states.size_bytes
            if key not in self._known and row.nbytes <= room:
                self._known[key] = len(self._states)
                self._states.append(row.tobytes())


def _digest(window: Window) -> bytes:
    said = hashlib.blake2b(window.ids.tobytes(), digest_size=16)
    said.update(window.type_ids.tobytes())
    return said.digest()


def prefix_runner(session: onnxruntime.InferenceSession) -> RunBatch:
    """Answers batches with the hidden states, (windows, tokens, width), of an ONNX session."""

    def run(batch: Batch) -> Hidden:
        (hidden,) = session.run([HIDDEN_STATES], onnx_inputs(batch))
        return np.asarray(hidden, dtype=np.float32)

    return run


def make_prefix(
    base: Path,
    layers: int,
    vocabulary: Vocabulary,
    wordings: Sequence[TextSample],
    positions: int,
) -> Prefix:
    """The base's embeddings and first layers as an int8 graph; the same for the same arguments.

    wordings: what the ranges of activations are taken from
    positions: the longest input, in tokens
    Raises TrainingError when ONNX and torch disagree, or when a window's hidden states depend on
    what it is batched with.
    """
    whole = PruneConfig(tuple(range(layers)), None, positions=positions)
    model = prune_model(base, whole, vocabulary.kept, (), 0, "BertForQuestionAnswering").bert
    padding = vocabulary.tokenizer.token_to_id("[PAD]")
    windows = _windows(wordings, vocabulary.tokenizer, positions)
    in_company = mixed(windows, _CHECKED_WINDOWS, padding)
    with tempfile.TemporaryDirectory() as folder:
        fp32, int8 = Path(folder) / "prefix.onnx", Path(folder) / "prefix-int8.onnx"
        export_prefix(model, fp32)
        exported = prefix_runner(open_session(fp32))
        what = "The frozen layers' states"
        checked_difference(what, _torch_runner(model), exported, in_company)
        quantise(fp32, int8, batches(windows, 16, padding))
        if rows_change_in_company(prefix_runner(open_session(int8)), in_company):
            raise TrainingError("The frozen layers give a text other states in a batch than alone.")
        return Prefix(int8.read_bytes())


def _windows(wordings: Sequence[TextSample], tokenizer: Tokenizer, max_tokens: int) -> Cut:
    """Some of the texts and pairs, spread over all, each cut at the longest window."""
    order = random.Random(0)  # noqa: S311  # an order to be repeated, not a secret
    drawn = order.sample(list(wordings), min(len(wordings), _CALIBRATION_WORDINGS))
    encodings = [tokenizer.encode(first, second) for first, second in drawn]
    ids = [np.asarray(one.ids[:max_tokens], dtype=np.int64) for one in encodings]
    types = [np.asarray(one.type_ids[:max_tokens], dtype=np.int64) for one in encodings]
    nothing = np.zeros(0, dtype=np.int64)

    def make(example: int, _: int, __: int) -> Window:
        return Window(ids[example], types[example], nothing, example)

    return cut(np.array([len(own) for own in ids]), max_tokens, 0, 0, make)


def _torch_runner(model: BertModel) -> RunBatch:
    def run(batch: Batch) -> Hidden:
        model.eval()
        with torch.inference_mode():
            said = model(
                input_ids=torch.from_numpy(batch.input_ids),
                attention_mask=torch.from_numpy(batch.attention_mask),
                token_type_ids=torch.from_numpy(batch.token_type_ids),
            )
        return np.asarray(said.last_hidden_state.numpy(), dtype=np.float32)

    return run
