"""`streamproc train`: a corpus becomes an ensemble, one member a part, while a table shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from streamproc.corpus.description import read_partitions
from streamproc.corpus.partitioning import Partitioning, partitioning_from
from streamproc.corpus.rows import Source, source_from
from streamproc.errors import OperatorError, SettingsError

if TYPE_CHECKING:
    from streamproc.training.ensemble import Progress as Told


def train(
    ensemble: Annotated[str, typer.Option(help="the ensemble's name")],
    partitions: Annotated[
        Path | None,
        typer.Option(
            help="what to learn from: a folder that `corpus partition` wrote, a member of each"
        ),
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            help="or files, [NAME=]FILE: .jsonl, .csv, .gz of either, or .parquet; once per file"
        ),
    ] = None,
    valid: Annotated[
        list[str] | None,
        typer.Option(help="what decides when a member has converged; as --corpus"),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="SPELLING=NAME, in order, e.g. 0=negative; entities: person=PER, misc=O; default: "
            "all that --partitions has"
        ),
    ] = None,
    task: Annotated[
        str,
        typer.Option(
            help="text-classification, token-classification, question-answering, translation, "
            "text-generation"
        ),
    ] = "text-classification",
    partition_by: Annotated[
        str | None,
        typer.Option(
            help="of --corpus: a field's name, corpus (the NAME of its file), or hash:N, by "
            "default hash:3"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="model repository to write to")] = Path("models"),
    work: Annotated[Path, typer.Option(help="where fp32 members are left")] = Path("work"),
    base: Annotated[
        Path | None,
        typer.Option(help="Hugging Face folder that encoders start from; default: MiniLM-L6"),
    ] = None,
    text_field: Annotated[str, typer.Option(help="field that holds the text")] = "text",
    label_field: Annotated[str, typer.Option(help="field that holds the label")] = "label",
    description: Annotated[str, typer.Option(help="for the manifest")] = "",
    licence: Annotated[str, typer.Option(help="of weights and data, for the manifest")] = "",
    version: Annotated[str, typer.Option(help="the members' version")] = "1",
    vocabulary: Annotated[
        int, typer.Option(min=300, help="tokens: kept of the base's, or learned")
    ] = 4200,
    layers: Annotated[
        str, typer.Option(help="the base's layers kept, e.g. 0,1; from scratch: how many")
    ] = "0,1",
    freeze_layers: Annotated[
        int, typer.Option(min=0, help="the base's first layers, run once before all members")
    ] = 0,
    prefix_corpus: Annotated[
        list[Path] | None,
        typer.Option(help="files that choose words and frozen layers' ranges; default: the corpus"),
    ] = None,
    heads: Annotated[
        int | None, typer.Option(min=1, help="attention heads a layer; default: all of the base's")
    ] = None,
    width: Annotated[int, typer.Option(min=8, help="of models from scratch")] = 128,
    ffn_width: Annotated[int, typer.Option(min=1, help="feed-forward neurons a layer")] = 512,
    window: Annotated[int, typer.Option(min=8, help="longest text at once, in tokens")] = 256,
    overlap: Annotated[int, typer.Option(min=0, help="tokens that windows share")] = 32,
    epochs: Annotated[int, typer.Option(min=1, help="passes over the texts, at most")] = 4,
    batch: Annotated[int, typer.Option(min=1, help="texts a step")] = 32,
    learning_rate: Annotated[float, typer.Option(min=0, help="at its highest")] = 3e-4,
    trunk_epochs: Annotated[
        int, typer.Option(min=0, help="first train one model of the whole corpus, members branch")
    ] = 0,
    trunk_learning_rate: Annotated[float, typer.Option(min=0, help="at its highest")] = 3e-4,
    seed: Annotated[int, typer.Option(min=0, help="same seed, same weights")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="threads of torch")] = 2,
) -> None:
    """Train one model per part of a corpus, and write them as an ensemble that a worker serves."""
    try:
        from streamproc.training.courses import Choice, course_of  # noqa: PLC0415
        from streamproc.training.ensemble import Plan, train_ensemble  # noqa: PLC0415
        from streamproc.training.fitting import Schedule  # noqa: PLC0415
    except ModuleNotFoundError as missing:  # torch is an extra
        raise OperatorError(
            f"Training needs {missing.name}, which is not installed: install streamproc[train]."
        ) from missing

    material = _material(partitions, corpus or [], valid or [], partition_by)
    choice = Choice(
        labels=tuple(label or material.labels),
        base=base,
        text_field=text_field,
        label_field=label_field,
        vocabulary_size=vocabulary,
        layers=layers,
        heads=heads,
        width=width,
        ffn_width=ffn_width,
        window_tokens=window,
        overlap_tokens=overlap,
        freeze_layers=freeze_layers,
        prefix_corpus=[source_from(str(path)) for path in prefix_corpus or ()],
    )
    plan = Plan(
        course=course_of(task, choice),
        corpus=material.train,
        valid=material.valid,
        partitioning=material.by,
        ensemble=ensemble,
        out=out,
        work=work / ensemble,
        description=description,
        licence=licence,
        version=version,
        seed=seed,
        threads=threads,
        schedule=Schedule(epochs=epochs, batch_size=batch, learning_rate=learning_rate),
        trunk=Schedule(epochs=trunk_epochs, batch_size=batch, learning_rate=trunk_learning_rate)
        if trunk_epochs
        else None,
    )
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        shown = bar.add_task("reading the corpus", total=None)
        part = "the whole corpus"
        for told in train_ensemble(plan):
            part = getattr(told, "part", part)
            _show(told, part, bar, shown)


@dataclass(frozen=True, slots=True)
class _Material:
    """What there is to learn from. labels: as --label has them, if they are known."""

    train: Sequence[Source]
    valid: Sequence[Source]
    by: Partitioning
    labels: Sequence[str] = ()


def _material(
    partitions: Path | None, corpus: Sequence[str], valid: Sequence[str], by: str | None
) -> _Material:
    if partitions:
        if corpus or valid or by:
            raise SettingsError(
                "--partitions brings its own --corpus, --valid and --partition-by: leave these out."
            )
        cut = read_partitions(partitions)
        named = [f"{label}={label}" for label in cut.labels]
        return _Material(cut.sources("train"), cut.sources("valid"), cut.by, named)
    if not corpus or not valid:
        raise SettingsError("Name --partitions FOLDER, or --corpus FILE and --valid FILE.")
    return _Material(
        [source_from(written) for written in corpus],
        [source_from(written) for written in valid],
        partitioning_from(by or "hash:3"),
    )


def _show(told: Told, part: str, bar: Progress, shown: TaskID) -> None:
    from streamproc.training import course, ensemble, fitting  # noqa: PLC0415  # torch is an extra

    def words(judgement: course.Judgement) -> str:
        return ", ".join(f"{name} {value:.4f}" for name, value in judgement.metrics.items())

    match told:
        case ensemble.TrunkStarted():
            bar.console.print(
                f"the whole corpus, for members to branch off: {told.records} records"
            )
        case ensemble.PartStarted():
            bar.console.print(f"{part} ({told.number} of {told.parts}): {told.records} records")
        case fitting.Step():
            doing = f"{part}, epoch {told.epoch}, loss {told.loss:.3f}"
            bar.update(shown, description=doing, total=told.steps, completed=told.step)
        case fitting.Epoch():
            bar.console.print(
                f"  epoch {told.epoch}: loss {told.train_loss:.3f}, validation loss "
                f"{told.judgement.loss:.3f}, {words(told.judgement)}"
                f"{', best so far' if told.best else ''}{', converged' if told.converged else ''}"
            )
        case ensemble.MemberShipped(shipped=shipped):
            bar.console.print(
                f"  {shipped.size_bytes / 2**20:.2f} MiB {shipped.precision}, "
                f"{words(shipped.shipped)} (fp32 {words(shipped.fp32)}), "
                f"ONNX against torch {shipped.export_difference:.1e}"
            )
        case ensemble.EnsembleWritten():
            bar.console.print(f"written: {told.manifest}")
