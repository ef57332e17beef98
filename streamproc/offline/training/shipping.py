"""What stands between a trained encoder and the model repository: export, checks, quantisation."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from streamproc.errors import TrainingError
from streamproc.offline.training.exporting import (
    checked_difference,
    onnx_runner,
    rows_change_in_company,
)
from streamproc.offline.training.member import Member
from streamproc.offline.training.precision import choose, store_in_half
from streamproc.offline.training.scoring import RunBatch
from streamproc.offline.training.static_int8 import quantise
from streamproc.offline.training.training_task import ExportedMember, Metrics
from streamproc.offline.training.weight_only_int8 import store_in_eight_bits
from streamproc.offline.training.windows import Cut, batches, mixed

_CHECKED_WINDOWS = 256
_CALIBRATION_EXAMPLES = 300


def ship_encoder(
    member: Member,
    tokenizer: Tokenizer,
    *,
    work: Path,
    target: Path,
    precision: str,
    own: Cut,
    checked: Cut,
    judge: Callable[[RunBatch], Metrics],
    seed: int,
    labels: Sequence[str],
) -> ExportedMember:
    """Export a member to ONNX at `target`; its fp32 graph and others stay in the folder `work`.

    precision: as `choose` takes it
    own:       windows of the member's own part of the corpus, to calibrate by
    checked:   windows of the validation records
    Raises TrainingError when ONNX and torch disagree, or when a window's answer depends on what it
    is batched with.
    """
    fp32 = work / "model.onnx"
    member.export(fp32)
    padding = tokenizer.token_to_id("[PAD]")
    in_company = mixed(checked, _CHECKED_WINDOWS, padding)
    run_fp32 = member.behind_prefix(onnx_runner(fp32))
    difference = checked_difference(f"{fp32}: logits", member.run, run_fp32, in_company)

    def calibrated(source: Path, made: Path) -> None:
        calibration = batches(_of_some_examples(own, seed), 16, padding)
        quantise(source, made, map(member.attach, calibration))

    def judged(files: Sequence[Path]) -> Metrics:
        (file,) = files
        run = member.behind_prefix(onnx_runner(file))
        if changed := rows_change_in_company(run, in_company):
            windows = sum(len(batch.windows) for batch in in_company)
            raise TrainingError(
                f"{file}: {changed} of {windows} windows get another answer in a batch than alone."
            )
        return judge(run)

    writers = {"int8": calibrated, "int8-weights": store_in_eight_bits, "fp16": store_in_half}
    whole, form = choose(precision, [fp32], writers, judged)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(form.files[0].read_bytes())
    found = (whole, form.judgement)
    return ExportedMember(target, None, form.precision, difference, *found, labels, form.why)


def _of_some_examples(windows: Cut, seed: int) -> Cut:
    """The windows of a few hundred examples, drawn by the seed."""
    _, starts, counts = windows.runs()
    order = random.Random(seed)  # noqa: S311  # an order to be repeated, not a secret
    drawn = order.sample(range(len(starts)), min(len(starts), _CALIBRATION_EXAMPLES))
    own = [np.arange(starts[one], starts[one] + counts[one]) for one in sorted(drawn)]
    return windows.chosen(np.concatenate(own))
