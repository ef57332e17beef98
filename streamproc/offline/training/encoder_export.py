"""What stands between a trained encoder and the model repository: export, checks, quantisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from streamproc.errors import TrainingError
from streamproc.offline.training.labelled_chunks import groups_by_length, mixed_lengths
from streamproc.offline.training.member import Member
from streamproc.offline.training.precision import export_smallest, store_in_half
from streamproc.offline.training.static_int8 import quantise
from streamproc.offline.training.training_task import ExportedMember, Metrics
from streamproc.offline.training.validation import Validation
from streamproc.offline.training.weight_only_int8 import store_in_eight_bits
from streamproc.serving.inference.batch import Batch, ModelInput
from streamproc.serving.verification.scores import count_batch_variant, require_same_scores

_CHECKED_CHUNKS = 256


def export_encoder_member(
    member: Member,
    validation: Validation,
    calibration: Callable[[], Sequence[ModelInput]],
    *,
    work: Path,
    target: Path,
    precision: str,
    labels: Sequence[str],
) -> ExportedMember:
    """Export a member to ONNX in the folder `target`; its other forms stay in the folder `work`.

    calibration: chunks of the member's own part of the corpus
    precision:   as `export_smallest` takes it
    Raises TrainingError when ONNX and torch disagree, or when a chunk's answer depends on what it
    is batched with.
    """
    fp32 = work / "model.onnx"
    member.export(fp32)
    checked = [
        [labelled.chunk for labelled in group]
        for group in mixed_lengths(validation.chunks, _CHECKED_CHUNKS)
    ]
    difference = require_same_scores(
        f"{fp32}: logits", member.score, member.onnx_scorer(fp32), checked
    )

    def static_int8(source: Path, made: Path) -> None:
        chunks = calibration()
        groups = groups_by_length(np.array([len(chunk.ids) for chunk in chunks]), 16)
        quantise(
            source,
            made,
            (Batch.pad(member.read([chunks[place] for place in group])) for group in groups),
        )

    def evaluate(files: Sequence[Path]) -> Metrics:
        (file,) = files
        score = member.onnx_scorer(file)
        if changed := count_batch_variant(score, checked):
            raise TrainingError(
                f"{file}: {changed} of {sum(map(len, checked))} windows get another answer in a "
                "batch than alone."
            )
        return validation.evaluate(score)

    writers = {"int8": static_int8, "int8-weights": store_in_eight_bits, "fp16": store_in_half}
    return export_smallest(
        precision, [fp32], writers, evaluate, target, export_difference=difference, labels=labels
    )
