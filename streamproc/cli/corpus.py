"""`streamproc corpus`: a corpus is cut into the partitions that members are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from streamproc.corpus import partitioner
from streamproc.corpus.clusters import ByCluster, Features
from streamproc.corpus.description import DESCRIPTION
from streamproc.corpus.plan import Duplicates, Plan
from streamproc.corpus.portraits import Portrait
from streamproc.corpus.records import Columns
from streamproc.corpus.rows import source_from
from streamproc.errors import OperatorError

app = typer.Typer(no_args_is_help=True, help="Corpora, before anything is learned from them.")


@app.callback()
def _group() -> None:
    pass


@app.command()
def partition(
    train: Annotated[
        list[str],
        typer.Option(
            help="what is learned from, [NAME=]FILE: .jsonl, .csv, .gz of either, or .parquet; "
            "once per file"
        ),
    ],
    by: Annotated[
        str,
        typer.Option(
            help="a field's name (corpus: the NAME of its file), hash:N, or cluster:N, by topic"
        ),
    ],
    out: Annotated[Path, typer.Option(help="folder to write; must not exist yet")],
    valid: Annotated[
        list[str] | None, typer.Option(help="what decides when a member has converged; as --train")
    ] = None,
    test: Annotated[
        list[str] | None, typer.Option(help="what is kept aside for a report; as --train")
    ] = None,
    duplicates: Annotated[
        Duplicates,
        typer.Option(help="of texts that an earlier split has too, but for case, width and space"),
    ] = "refuse",
    base: Annotated[
        Path | None,
        typer.Option(help="Hugging Face folder of what tells topics apart; default: MiniLM-L6"),
    ] = None,
    sample: Annotated[
        int, typer.Option(min=2, help="texts of --train that clusters are fitted on, at most")
    ] = 5_000,
    text_field: Annotated[str, typer.Option(help="field that holds the text")] = "text",
    label_field: Annotated[str, typer.Option(help="field that holds the label")] = "label",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="same seed, same bytes")] = 0,
) -> None:
    """Cut a corpus into partitions, OUT/PARTITION/SPLIT.jsonl.gz, for streamproc train.

    All splits are cut the same way; clusters are fitted on train alone. Rows are read as a stream:
    a corpus may be larger than memory. OUT/partition.toml says how it was made and what is in it.
    """
    splits = {"train": train, "valid": valid or [], "test": test or []}
    plan = Plan(
        splits={name: [source_from(f) for f in files] for name, files in splits.items() if files},
        by=by,
        out=out,
        seed=seed,
        columns=Columns(text_field, label_field),
        duplicates=duplicates,
        features=_embeddings(base) if by.startswith("cluster:") else None,
        sample_texts=sample,
    )
    console = Console()
    with console.status("reading the corpus") as status:
        for told in partitioner.partition_corpus(plan):
            _show(told, status, console, list(plan.splits))


def _embeddings(base: Path | None) -> Features:
    try:
        import sklearn  # noqa: F401, PLC0415

        from streamproc.training.base import find_base  # noqa: PLC0415
        from streamproc.training.sentences import SentenceEmbeddings  # noqa: PLC0415
    except ModuleNotFoundError as missing:  # of the train extra
        raise OperatorError(
            f"Clusters need {missing.name}, which is not installed: install streamproc[train]."
        ) from missing
    return SentenceEmbeddings(find_base(base))


def _show(told: partitioner.Progress, status: Status, console: Console, splits: list[str]) -> None:
    match told:
        case partitioner.RowsRead():
            status.update(f"{told.doing} {told.split}: {told.rows:,} rows")
        case partitioner.ClustersStarted():
            status.update(f"fitting {told.clusters} clusters on {told.texts:,} texts")
        case partitioner.CorpusPartitioned():
            console.print(_table(told, splits))
            for (split, earlier), count in told.leaked.items():
                done = "dropped" if told.dropped else "kept, beware"
                console.print(f"{count:,} texts of {split} are in {earlier} too: {done}")
            console.print(f"written: {told.out / DESCRIPTION}", soft_wrap=True)


def _table(told: partitioner.CorpusPartitioned, splits: list[str]) -> Table:
    table = Table(title=escape(told.by.description), title_justify="left")
    table.add_column("partition", no_wrap=True)
    for split in splits:
        table.add_column(split, justify="right")
    table.add_column("labels of train")
    table.add_column("nearest to the centre" if isinstance(told.by, ByCluster) else "a text")
    for name, portrait in told.portraits.items():
        sizes = [f"{portrait.rows[split]:,}" for split in splits]
        text = " ".join(" ".join(portrait.texts.texts()[:1]).split())
        shown = text if len(text) <= 60 else text[:59] + "…"
        table.add_row(name, *sizes, escape(_balance(portrait)), escape(shown))
    return table


def _balance(portrait: Portrait) -> str:
    """The three most frequent labels of train with their shares, and how many others there are."""
    counts = portrait.labels["train"]
    total = sum(counts.values())
    most = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:3]
    shares = [f"{label} {count / total:.0%}" for label, count in most]
    others = len(counts) - len(most)
    return ", ".join([*shares, f"{others} more"] if others else shares)
