"""A member cut out of a BERT base: how torch runs it, how tokens reach it, how it is exported.

Behind a prefix it takes hidden states in the place of its embeddings, and learns none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from transformers import BertPreTrainedModel

from streamproc.offline.training.devices import array, tensor
from streamproc.offline.training.exporting import export_behind_prefix, export_encoder
from streamproc.offline.training.prefix import Prefix
from streamproc.offline.training.scoring import onnx_scorer
from streamproc.serving.inference.batch import Batch, ModelInput
from streamproc.serving.tasks.catalogue import scoring_task_named
from streamproc.serving.verification.scores import Score
from streamproc.types import FloatArray


class Member:
    """model: of transformers; prefix: the frozen layers before it, if there are any."""

    def __init__(self, model: BertPreTrainedModel, task: str, prefix: Prefix | None) -> None:
        self.model, self.task, self.prefix = model, task, prefix
        self._embeddings = model.bert.embeddings
        if prefix:
            model.bert.embeddings = _HiddenStates()

    def logits(self, batch: Batch) -> torch.Tensor:
        """(rows, labels), (rows, tokens, labels), or (rows, 2, tokens): a span's ends."""
        mask = tensor(batch.mask, self.model)
        if batch.hidden is not None:
            inputs = {"inputs_embeds": tensor(batch.hidden, self.model)}
        else:
            ids, type_ids = (tensor(v, self.model) for v in (batch.ids, batch.type_ids))
            inputs = {"input_ids": ids, "token_type_ids": type_ids}
        output = self.model(attention_mask=mask, **inputs)
        if "start_logits" not in output:
            logits: torch.Tensor = output.logits
            return logits
        ends = torch.stack((output.start_logits, output.end_logits), 1)
        return ends.masked_fill(mask[:, None] == 0, -1e9)  # no span ends in what is not there

    def score(self, sequences: Sequence[ModelInput]) -> Sequence[FloatArray]:
        """The logits without dropout, as `Score` has them."""
        batch = Batch.pad(self.read(sequences))
        self.model.eval()
        with torch.inference_mode():
            logits = array(self.logits(batch)).astype("float64")
        if logits.ndim == 2:
            return list(logits)
        if self.task == "question-answering":
            logits = logits.swapaxes(1, 2)
        return [row[:length] for row, length in zip(logits, batch.lengths, strict=True)]

    def read(self, sequences: Sequence[ModelInput]) -> Sequence[ModelInput]:
        """The sequences as the member takes them, run through the prefix."""
        return self.prefix.read(sequences) if self.prefix else sequences

    def onnx_scorer(self, path: Path) -> Score:
        """Scores of an exported form of the member, whose prefix runs before it."""
        signature = scoring_task_named(self.task).signature(self.model.config.num_labels)
        if not self.prefix:
            return onnx_scorer(path, signature)
        score = onnx_scorer(path, signature.behind_backbone(self.prefix.width))
        return lambda sequences: score(self.read(sequences))

    def export(self, path: Path) -> None:
        """Write the member, without its prefix, as an fp32 ONNX graph; raises TrainingError."""
        if not self.prefix:
            export_encoder(self.model, self.task, path)
            return
        self.model.bert.embeddings = self._embeddings
        try:
            export_behind_prefix(self.model, self.task, path)
        finally:
            self.model.bert.embeddings = _HiddenStates()


class _HiddenStates(nn.Module):  # type: ignore[misc]
    """Stands where embeddings do, and hands on the hidden states that were put in their place."""

    def forward(self, inputs_embeds: torch.Tensor, **_: object) -> torch.Tensor:
        return inputs_embeds
