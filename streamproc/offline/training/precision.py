"""In which numbers a member is exported: the smallest that its validation metric allows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

from streamproc.errors import TrainingError
from streamproc.offline.training.exporting import save
from streamproc.offline.training.options import AUTO
from streamproc.offline.training.training_task import ExportedMember, Metrics

# From the smallest; of two of about one size first the one that computes faster.
PRECISIONS = ("int8", "int8-weights", "fp16", "fp32")
# Of the first metric, in hundredths, between the fp32 graph and what is exported.
LARGEST_LOSS_POINTS = 0.5

# Writes a graph in other numbers: from a file, to a file.
Write = Callable[[Path, Path], None]
# Checks a form, then measures it; raises TrainingError when its answers depend on the batch.
Evaluate = Callable[[Sequence[Path]], Metrics]


def export_smallest(
    asked: str,
    fp32: Sequence[Path],
    writers: Mapping[str, Write],
    evaluate: Evaluate,
    target: Path,
    *,
    export_difference: float,
    labels: Sequence[str] = (),
) -> ExportedMember:
    """Copy the form that `choose` finds into the folder `target`, under the names of `fp32`."""
    unreduced, form = choose(asked, fp32, writers, evaluate)
    target.mkdir(parents=True, exist_ok=True)
    files = [target / path.name for path in fp32]
    for source, file in zip(form.files, files, strict=True):
        shutil.copyfile(source, file)
    return ExportedMember(
        path=files[0],
        decoder=files[1] if len(files) > 1 else None,
        precision=form.precision,
        export_difference=export_difference,
        validation_fp32=unreduced,
        validation=form.metrics,
        labels=labels,
        why=form.why,
    )


@dataclass(frozen=True, slots=True)
class Form:
    """A member in some numbers, on disk, checked. why: what spoke against the smaller ones."""

    precision: str
    files: Sequence[Path]
    metrics: Metrics
    why: Sequence[str] = ()


def choose(
    asked: str,
    fp32: Sequence[Path],
    writers: Mapping[str, Write],
    evaluate: Evaluate,
) -> tuple[Metrics, Form]:
    """The fp32 graphs' metrics, and the form to export.

    asked:   a precision, or AUTO: the smallest that loses at most LARGEST_LOSS_POINTS
    fp32:    the member's graphs; its other forms are written beside them
    writers: for this kind of member, by precision
    Raises TrainingError when the precision asked for is none of this kind of member, or fails.
    """
    possible = [name for name in PRECISIONS if name in {*writers, "fp32"}]
    if asked not in {AUTO, *possible}:
        raise TrainingError(
            f"--precision {asked}: not for this task; it can be {AUTO}, {', '.join(possible)}."
        )
    whole = evaluate(fp32)
    why: list[str] = []
    for precision in possible if asked == AUTO else [asked]:
        if precision == "fp32":
            break
        files = [path.with_stem(f"{path.stem}-{precision}") for path in fp32]
        for source, target in zip(fp32, files, strict=True):
            writers[precision](source, target)
        try:
            found = evaluate(files)
        except TrainingError as failed:
            if asked != AUTO:
                raise
            why.append(f"not {precision}: {failed}")
            continue
        lost = 100 * (_first(whole) - _first(found))
        if asked != AUTO or lost <= LARGEST_LOSS_POINTS:
            return whole, Form(precision, files, found, why)
        why.append(f"not {precision}: it loses {lost:.2f} points")
    return whole, Form("fp32", fp32, whole, why)


def _first(metrics: Metrics) -> float:
    return next(iter(metrics.metrics.values()))


def store_in_half(source: Path, target: Path) -> None:
    """Write a copy of an fp32 graph that computes in fp16, its inputs and outputs in fp32."""
    graph = onnx.load(str(source))
    save(convert_float_to_float16(graph, keep_io_types=True), target)
