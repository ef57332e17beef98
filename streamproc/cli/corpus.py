"""`streamproc corpus`: a corpus is split into the partitions that members are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streamproc.cli.base_model import finding_base
from streamproc.cli.data_options import LabelField, TextField
from streamproc.cli.lazy import command_group
from streamproc.cli.progress import activity
from streamproc.cli.tables import print_table
from streamproc.cli.terminal import TerminalConsole, stdout_console
from streamproc.errors import OperatorError, SettingsError

if TYPE_CHECKING:
    from streamproc.offline.corpus.clusters import Features
    from streamproc.offline.corpus.partition_plan import PartitionPlan
    from streamproc.offline.corpus.partition_stats import PartitionStats
    from streamproc.offline.corpus.partitioner import PartitionedCorpus

app = command_group("Prepare corpora for training.")

_Train = Annotated[
    list[str],
    typer.Option(
        help="training data, [NAME=]FILE: .jsonl, .json, .csv or .tsv, also .gz, or .parquet; "
        "may be repeated"
    ),
]
_By = Annotated[
    str,
    typer.Option(
        help="name of a field (corpus: the NAME of the file), hash:N, or cluster:N by topic"
    ),
]
_Valid = Annotated[list[str] | None, typer.Option(help="validation data; as --train")]
_Test = Annotated[list[str] | None, typer.Option(help="test data; as --train")]
_Duplicates = Annotated[
    Literal["refuse", "report", "drop"],
    typer.Option(help="what to do with texts of an earlier split, ignoring case, width and space"),
]
_Base = Annotated[
    str | None,
    typer.Option(
        help="embedding model for clusters: bge-small, minilm, or a Hugging Face folder; "
        "default: minilm"
    ),
]
_Sample = Annotated[int, typer.Option(min=2, help="most texts of --train to fit clusters on")]
_Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="same seed, same bytes")]


@app.callback()
def _group() -> None:
    pass


@app.command()
def partition(
    train: _Train,
    by: _By,
    out: Annotated[Path, typer.Option(help="folder to write; must not exist yet")],
    valid: _Valid = None,
    test: _Test = None,
    duplicates: _Duplicates = "refuse",
    base: _Base = None,
    sample: _Sample = 5_000,
    text_field: TextField = "text",
    label_field: LabelField = "label",
    seed: _Seed = 0,
) -> None:
    """Split a corpus into partitions, OUT/PARTITION/SPLIT.jsonl.gz, for streamproc train.

    All splits are partitioned alike; clusters are fitted on train alone. Rows are streamed, so a
    corpus may be larger than memory. OUT/partition.toml records how it was made and its contents.
    """
    from streamproc.offline.corpus.partition_plan import PartitionPlan
    from streamproc.offline.corpus.partitioner import partition_corpus
    from streamproc.offline.corpus.records import Columns
    from streamproc.offline.corpus.rows import source_from

    if base and not by.startswith("cluster:"):
        raise SettingsError(
            "--base is the embedding model of --by cluster:N; other partitions need none"
        )
    splits = {"train": train, "valid": valid or [], "test": test or []}
    plan = PartitionPlan(
        splits={name: [source_from(f) for f in files] for name, files in splits.items() if files},
        by=by,
        out=out,
        seed=seed,
        columns=Columns(text_field, label_field),
        duplicates=duplicates,
        features=_embeddings(base) if by.startswith("cluster:") else None,
        sample_texts=sample,
    )
    with activity("reading the corpus") as say:
        done = partition_corpus(plan, say)
    _show(plan, done, stdout_console())


def _embeddings(base: str | None) -> Features:
    try:
        import sklearn  # noqa: F401

        from streamproc.offline.training.sentences import SentenceEmbeddings
    except ModuleNotFoundError as missing:  # of the train extra
        raise OperatorError(
            f"Clusters need {missing.name}, which is not installed: install streamproc[train]."
        ) from missing
    with finding_base() as find:
        return SentenceEmbeddings(find(base))


def _show(plan: PartitionPlan, done: PartitionedCorpus, console: TerminalConsole) -> None:
    from streamproc.offline.corpus.clusters import ByCluster
    from streamproc.offline.corpus.description import DESCRIPTION

    console.print(done.by.description)
    text = "nearest to the centre" if isinstance(done.by, ByCluster) else "a text"
    rows = [
        (name, *(f"{own.rows[split]:,}" for split in plan.splits), _balance(own), _sample(own))
        for name, own in done.stats.items()
    ]
    numbers = range(1, 1 + len(plan.splits))
    headings = ("partition", *plan.splits, "labels of train", text)
    print_table(console, headings, rows, names=(0, *numbers), numbers=numbers)
    for (split, earlier), count in done.leaked.items():
        what = "dropped" if plan.duplicates == "drop" else "kept, beware"
        console.print(f"{count:,} texts of {split} are in {earlier} too: {what}")
    console.print(f"written: {done.out / DESCRIPTION}", soft_wrap=True)


def _sample(stats: PartitionStats) -> str:
    text = " ".join(" ".join(stats.texts.texts()[:1]).split())
    return text if len(text) <= 60 else text[:59] + "…"


def _balance(stats: PartitionStats) -> str:
    """The three most frequent labels of train with their shares, and how many others there are."""
    counts = stats.labels["train"]
    total = sum(counts.values())
    most = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:3]
    shares = [f"{label} {count / total:.0%}" for label, count in most]
    others = len(counts) - len(most)
    return ", ".join([*shares, f"{others} more"] if others else shares)
