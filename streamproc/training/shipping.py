"""What stands between a trained member and the model repository: export, checks, quantisation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer
from transformers import BertForSequenceClassification

from streamproc.errors import TrainingError
from streamproc.training.examples import Example, batches, windows
from streamproc.training.exporting import (
    export_onnx,
    largest_difference,
    onnx_runner,
    rows_change_in_company,
)
from streamproc.training.fitting import torch_runner
from streamproc.training.quantising import quantise
from streamproc.training.scoring import WindowSize, accuracy, score

LARGEST_EXPORT_DIFFERENCE = 1e-4
_CHECKED_WINDOWS = 256


@dataclass(frozen=True, slots=True)
class Shipped:
    """A member in the repository, and what its checks found.

    path:              the int8 ONNX file
    size_bytes:        its size
    export_difference: largest difference of logits between torch and fp32 ONNX
    fp32_accuracy, int8_accuracy: on all validation texts, both by ONNX Runtime
    """

    path: Path
    size_bytes: int
    export_difference: float
    fp32_accuracy: float
    int8_accuracy: float


def ship(
    model: BertForSequenceClassification,
    tokenizer: Tokenizer,
    *,
    work: Path,
    target: Path,
    calibration: Sequence[Example],
    valid: Sequence[Example],
    window: WindowSize,
) -> Shipped:
    """Export a member to int8 ONNX at `target`; its fp32 forms stay in the folder `work`.

    Raises TrainingError when ONNX and torch disagree, or when a text's answer depends on what it
    is batched with.
    """
    model.save_pretrained(work)
    tokenizer.save(str(work / "tokenizer.json"))
    fp32, int8 = work / "model.onnx", work / "model-int8.onnx"
    export_onnx(model, fp32)
    padding = tokenizer.token_to_id("[PAD]")

    # Mixed on purpose: windows of unlike length in one batch are what padding could leak into.
    cut = windows(valid, tokenizer, window.max_tokens, window.overlap_tokens)
    order = random.Random(0)  # noqa: S311  # an order to be repeated, not a secret
    mixed = order.sample(cut, min(len(cut), _CHECKED_WINDOWS))
    checked = [
        batch
        for first in range(0, len(mixed), 16)
        for batch in batches(mixed[first : first + 16], 16, padding)
    ]
    difference = largest_difference(torch_runner(model), onnx_runner(fp32), checked)
    if difference > LARGEST_EXPORT_DIFFERENCE:
        raise TrainingError(
            f"{fp32}: logits differ from torch's by {difference:.2g}, more than "
            f"{LARGEST_EXPORT_DIFFERENCE:.0e}. Is the exporter's version the pinned one?"
        )

    own = windows(calibration, tokenizer, window.max_tokens, window.overlap_tokens)
    quantise(fp32, int8, batches(own, 16, padding))
    if changed := rows_change_in_company(onnx_runner(int8), checked):
        raise TrainingError(
            f"{int8}: {changed} of {len(mixed)} windows get another answer in a batch than alone."
        )
    labels = model.config.num_labels
    found = [
        accuracy(score(onnx_runner(path), valid, tokenizer, window, labels), valid)
        for path in (fp32, int8)
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(int8.read_bytes())
    return Shipped(target, target.stat().st_size, difference, found[0], found[1])
