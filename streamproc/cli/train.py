"""`streamproc train`: a corpus becomes an ensemble, one member a part, while a table shows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from streamproc.corpus.partitioning import partitioning_from
from streamproc.corpus.records import Columns
from streamproc.errors import OperatorError, TrainingError

if TYPE_CHECKING:
    from streamproc.training.ensemble import Progress as Told


def train(
    corpus: Annotated[Path, typer.Option(help="texts to learn from: .jsonl, .csv, or .gz of it")],
    valid: Annotated[Path, typer.Option(help="texts that decide when a member has converged")],
    ensemble: Annotated[str, typer.Option(help="the ensemble's name")],
    label: Annotated[
        list[str], typer.Option(help="SPELLING=NAME, in order, e.g. 0=negative; once per label")
    ],
    partition_by: Annotated[str, typer.Option(help="a field's name, or hash:N")] = "hash:3",
    out: Annotated[Path, typer.Option(help="model repository to write to")] = Path("models"),
    work: Annotated[Path, typer.Option(help="where fp32 members are left")] = Path("work"),
    base: Annotated[
        Path | None, typer.Option(help="Hugging Face folder to start from; default: MiniLM-L6")
    ] = None,
    text_field: Annotated[str, typer.Option(help="field that holds the text")] = "text",
    label_field: Annotated[str, typer.Option(help="field that holds the label")] = "label",
    description: Annotated[str, typer.Option(help="for the manifest")] = "",
    licence: Annotated[str, typer.Option(help="of weights and data, for the manifest")] = "",
    version: Annotated[str, typer.Option(help="the members' version")] = "1",
    vocabulary: Annotated[int, typer.Option(min=300, help="tokens kept of the base's")] = 4200,
    layers: Annotated[str, typer.Option(help="the base's layers kept, e.g. 0,1")] = "0,1",
    ffn_width: Annotated[int, typer.Option(min=1, help="feed-forward neurons kept")] = 512,
    epochs: Annotated[int, typer.Option(min=1, help="passes over the texts, at most")] = 4,
    learning_rate: Annotated[float, typer.Option(min=0, help="at its highest")] = 3e-4,
    seed: Annotated[int, typer.Option(min=0, help="same seed, same weights")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="threads of torch")] = 2,
) -> None:
    """Train one model per part of a corpus, and write them as an ensemble that a worker serves."""
    try:
        from streamproc.training.base import find_base  # noqa: PLC0415  # torch is an extra
        from streamproc.training.ensemble import Plan, train_ensemble  # noqa: PLC0415
        from streamproc.training.fitting import Schedule  # noqa: PLC0415
        from streamproc.training.shape import Shape  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise OperatorError(
            f"Training needs {missing.name}, which is not installed: install streamproc[train]."
        ) from missing

    plan = Plan(
        corpus=corpus,
        valid=valid,
        partitioning=partitioning_from(partition_by),
        ensemble=ensemble,
        labels=_labels(label),
        out=out,
        work=work / ensemble,
        base=find_base(base),
        description=description,
        licence=licence,
        version=version,
        seed=seed,
        threads=threads,
        vocabulary_size=vocabulary,
        columns=Columns(text_field, label_field),
        shape=Shape(_numbers(layers), ffn_width),
        schedule=Schedule(epochs=epochs, learning_rate=learning_rate),
    )
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("reading the corpus", total=None)
        part = ""
        for told in train_ensemble(plan):
            part = getattr(told, "part", part)
            _show(told, part, bar, task)


def _show(told: Told, part: str, bar: Progress, task: TaskID) -> None:
    from streamproc.training import ensemble, fitting  # noqa: PLC0415  # torch is an extra

    match told:
        case ensemble.PartStarted():
            bar.console.print(f"{part} ({told.number} of {told.parts}): {told.records} records")
        case fitting.Step():
            words = f"{part}, epoch {told.epoch}, loss {told.loss:.3f}"
            bar.update(task, description=words, total=told.steps, completed=told.step)
        case fitting.Epoch():
            bar.console.print(
                f"  epoch {told.epoch}: loss {told.train_loss:.3f}, validation loss "
                f"{told.validation_loss:.3f}, accuracy {told.validation_accuracy:.4f}"
                f"{', best so far' if told.best else ''}{', converged' if told.converged else ''}"
            )
        case ensemble.MemberShipped(shipped=shipped):
            bar.console.print(
                f"  {shipped.size_bytes / 2**20:.2f} MiB int8, accuracy "
                f"{shipped.int8_accuracy:.4f} (fp32 {shipped.fp32_accuracy:.4f}), "
                f"ONNX against torch {shipped.export_difference:.1e}"
            )
        case ensemble.EnsembleWritten():
            bar.console.print(f"written: {told.manifest}")


def _labels(written: list[str]) -> dict[str, str]:
    labels = dict(one.partition("=")[::2] for one in written)
    if len(labels) < 2 or not all(labels.values()) or len(labels) != len(written):
        raise TrainingError(
            f"--label {' '.join(written)}: expected two or more SPELLING=NAME, each spelling once."
        )
    return labels


def _numbers(written: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in written.split(","))
    except ValueError:
        raise TrainingError(f"--layers {written!r}: expected numbers, e.g. 0,1.") from None
