"""`streamproc train`: a corpus becomes an ensemble, one member a part, while a table shows it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.train_progress import shown
from streamproc.errors import OperatorError


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
            help="or files, [NAME=]FILE: .jsonl, .json, .csv, .tsv, .gz of it, or .parquet; once "
            "per file"
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
            "all that the corpus has"
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
    work: Annotated[
        Path, typer.Option(help="where runs are kept, each in a folder of its ensemble's name")
    ] = Path("work"),
    base: Annotated[
        Path | None,
        typer.Option(help="Hugging Face folder that encoders start from; default: MiniLM-L6"),
    ] = None,
    text_field: Annotated[str, typer.Option(help="field that holds the text")] = "text",
    label_field: Annotated[str, typer.Option(help="field that holds the label")] = "label",
    description: Annotated[str, typer.Option(help="for the manifest")] = "",
    license: Annotated[str, typer.Option(help="of weights and data, for the manifest")] = "",
    version: Annotated[str, typer.Option(help="the members' version")] = "1",
    precision: Annotated[
        str,
        typer.Option(
            help="shipped in fp32, fp16, int8, int8-weights; auto: the smallest that loses "
            "at most 0.5 points on --valid"
        ),
    ] = "auto",
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
        list[str] | None,
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
    batch: Annotated[int, typer.Option(min=1, help="texts a step, in each process")] = 32,
    learning_rate: Annotated[float, typer.Option(min=0, help="at its highest")] = 3e-4,
    warmup: Annotated[
        float, typer.Option(min=0, max=1, help="share of the steps in which it rises")
    ] = 0.1,
    weight_decay: Annotated[float, typer.Option(min=0, help="of AdamW")] = 0.01,
    patience: Annotated[
        int, typer.Option(min=1, help="epochs that are no better, after which training stops")
    ] = 2,
    checkpoint_steps: Annotated[
        int, typer.Option(min=1, help="steps within an epoch after which one is kept")
    ] = 500,
    trunk_epochs: Annotated[
        int, typer.Option(min=0, help="first train one model of the whole corpus, members branch")
    ] = 0,
    trunk_learning_rate: Annotated[float, typer.Option(min=0, help="at its highest")] = 3e-4,
    trials: Annotated[
        int, typer.Option(min=0, help="settings tried first, on the largest part; the best is used")
    ] = 0,
    search: Annotated[
        Path | None, typer.Option(help="TOML file of what is tried; see docs/training.md")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="same seed, same weights")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="threads of torch, in each process")] = 2,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="members trained at once; default: processor cores / --threads"),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="begin anew where a run was begun before")
    ] = False,
    export: Annotated[
        bool, typer.Option("--export/--no-export", help="write the ensemble when all is trained")
    ] = True,
) -> None:
    """Train one model per part of a corpus, and write them as an ensemble that a worker serves.

    A run that was stopped goes on when the same command is given again.
    """
    try:
        from streamproc.offline.training.arguments import Arguments
        from streamproc.offline.training.devices import process, processes
        from streamproc.offline.training.ensemble import fit_ensemble, train_here
        from streamproc.offline.training.jobs import Jobs
        from streamproc.offline.training.publishing import export_ensemble
    except ModuleNotFoundError as missing:  # torch is an extra
        raise OperatorError(
            f"Training needs {missing.name}, which is not installed: install streamproc[train]."
        ) from missing

    plan = Arguments(
        ensemble=ensemble,
        partitions=partitions,
        corpus=corpus or (),
        valid=valid or (),
        label=label or (),
        task=task,
        partition_by=partition_by,
        out=out,
        work=work,
        base=base,
        text_field=text_field,
        label_field=label_field,
        description=description,
        license=license,
        version=version,
        precision=precision,
        vocabulary=vocabulary,
        layers=layers,
        freeze_layers=freeze_layers,
        prefix_corpus=prefix_corpus or (),
        heads=heads,
        width=width,
        ffn_width=ffn_width,
        window=window,
        overlap=overlap,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        warmup=warmup,
        weight_decay=weight_decay,
        patience=patience,
        checkpoint_steps=checkpoint_steps,
        trunk_epochs=trunk_epochs,
        trunk_learning_rate=trunk_learning_rate,
        trials=trials,
        search=search,
        seed=seed,
        threads=threads,
    ).plan()
    at_once = jobs or max(1, (os.cpu_count() or 1) // threads)
    # torchrun has started several processes already, which train each member together.
    train_all = train_here if processes() > 1 else Jobs(at_once)
    # As Ctrl-C does: the processes of members are ended before this one is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with shown(quiet=process() != 0) as tell:
        fit_ensemble(plan, tell, train_all=train_all, fresh=fresh)
        if export and process() == 0:
            export_ensemble(plan, tell)
