"""A member cut out of a BERT base: how torch runs it, how tokens reach it, how it is exported.

Behind a prefix it takes hidden states in the place of its embeddings, and learns none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import BertPreTrainedModel

from streamproc.offline.training.devices import array, tensor
from streamproc.offline.training.exporting import (
    HIDDEN_STATES,
    export_behind_prefix,
    export_encoder,
    onnx_inputs,
)
from streamproc.offline.training.prefix import Prefix
from streamproc.offline.training.scoring import RunBatch
from streamproc.offline.training.windows import Batch


class Member:
    """model: of transformers; prefix: the frozen layers before it, if there are any."""

    def __init__(self, model: BertPreTrainedModel, task: str, prefix: Prefix | None) -> None:
        self.model, self.task, self.prefix = model, task, prefix
        self._embeddings = model.bert.embeddings
        if prefix:
            model.bert.embeddings = _Given()

    def logits(self, batch: Batch) -> torch.Tensor:
        """(windows, labels), (windows, tokens, labels), or (windows, tokens, 2): a span's ends."""
        inputs = onnx_inputs(self.attach(batch))
        if HIDDEN_STATES in inputs:
            inputs["inputs_embeds"] = inputs.pop(HIDDEN_STATES)
        said = self.model(**{name: tensor(value, self.model) for name, value in inputs.items()})
        logits: torch.Tensor = (
            torch.stack((said.start_logits, said.end_logits), -1)
            if "start_logits" in said
            else said.logits
        )
        return logits

    def run(self, batch: Batch) -> NDArray[np.float32]:
        """The logits, without dropout."""
        self.model.eval()
        with torch.inference_mode():
            return array(self.logits(batch))

    def attach(self, batch: Batch) -> Batch:
        """The batch with what the exported member takes of it."""
        return self.prefix.attach(batch) if self.prefix else batch

    def behind_prefix(self, run: RunBatch) -> RunBatch:
        """A runner of the exported member as one that takes tokens."""
        return lambda batch: run(self.attach(batch))

    def export(self, path: Path) -> None:
        """Write the member, without its prefix, as an fp32 ONNX graph; raises TrainingError."""
        if not self.prefix:
            export_encoder(self.model, self.task, path)
            return
        self.model.bert.embeddings = self._embeddings
        try:
            export_behind_prefix(self.model, self.task, path)
        finally:
            self.model.bert.embeddings = _Given()


class _Given(nn.Module):  # type: ignore[misc]
    """Stands where embeddings do, and hands on what was put in their place."""

    def forward(self, inputs_embeds: torch.Tensor, **_: object) -> torch.Tensor:
        return inputs_embeds
