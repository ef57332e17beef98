"""A corpus of any size, cut into partitions on disk: read once to check it, once to cut it."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from streamproc.errors import TrainingError
from streamproc.offline.corpus.bottom_k_sample import BottomKSample, lot
from streamproc.offline.corpus.clusters import ByCluster, fit_clusters
from streamproc.offline.corpus.description import write_description
from streamproc.offline.corpus.items import RowItem, batched, read_items
from streamproc.offline.corpus.leakage import Leakage
from streamproc.offline.corpus.part_files import PartFiles
from streamproc.offline.corpus.partition_stats import PartitionStats
from streamproc.offline.corpus.partitioning import Partitioning, clusters_from, partitioning_from
from streamproc.offline.corpus.plan import Plan


@dataclass(frozen=True, slots=True)
class RowsRead:
    """How far a pass over a split has come. doing: "checking", "writing"."""

    doing: str
    split: str
    rows: int


@dataclass(frozen=True, slots=True)
class ClustersStarted:
    """Centres are being fitted."""

    clusters: int
    texts: int


@dataclass(frozen=True, slots=True)
class CorpusPartitioned:
    """The partitions are on disk.

    portraits: by partition, in the order of their names
    leaked:    rows by split and the earlier split that has their text, dropped where `dropped`
    """

    out: Path
    by: Partitioning
    portraits: Mapping[str, PartitionStats]
    leaked: Mapping[tuple[str, str], int]
    dropped: bool


Progress = RowsRead | ClustersStarted | CorpusPartitioned


def partition_corpus(plan: Plan) -> Iterator[Progress]:
    """Cut a corpus into the partitions that members are trained on, telling what happens.

    Rows pass by in batches. What stays in memory: 8 bytes a row, a sample of the texts for
    clusters, and a few numbers and texts a partition. The folder appears when it is complete.
    Raises TrainingError when the corpus can't be cut, or splits share texts and may not.
    """
    if plan.out.exists():
        raise TrainingError(f"{plan.out} is there already: name another folder, or remove it.")
    clusters = clusters_from(plan.by)
    # Before the corpus is read, which may take long: what can be wrong with --by.
    by = None if clusters else partitioning_from(plan.by, plan.seed)
    checked = _Checked(BottomKSample(plan.sample_texts) if clusters else None)
    for split in plan.splits:
        yield from _check(plan, split, checked)
    _refuse_leaks(plan, checked.leakage)

    if clusters and checked.sample and plan.features:
        sample = checked.sample.texts()
        yield ClustersStarted(clusters, len(sample))
        by = fit_clusters(sample, clusters, plan.features, plan.seed)
    if by is None:
        raise TrainingError(f"{plan.by!r} needs features to make clusters of.")

    portraits: dict[str, PartitionStats] = defaultdict(PartitionStats)
    unfinished = plan.out.with_name(f"{plan.out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        for split in plan.splits:
            yield from _write(plan, split, by, checked.leakage, unfinished, portraits)
        ordered = {name: portraits[name] for name in sorted(portraits)}
        counts = checked.leakage.counts
        write_description(unfinished, plan, by, ordered, checked.rows, counts)
        unfinished.replace(plan.out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    yield CorpusPartitioned(plan.out, by, ordered, counts, plan.duplicates == "drop")


@dataclass(slots=True)
class _Checked:
    """What the first pass finds. sample: of "train", for clusters; rows: by split and file."""

    sample: BottomKSample | None
    leakage: Leakage = field(default_factory=Leakage)
    rows: Counter[tuple[str, Path]] = field(default_factory=Counter)


def _check(plan: Plan, split: str, checked: _Checked) -> Iterator[RowsRead]:
    checked.leakage.start(split)
    rows = 0
    for batch in batched(_items(plan, split)):
        checked.leakage.add(split, batch)
        for item in batch:
            checked.rows[split, item.row.path] += 1
            if checked.sample and split == "train":
                checked.sample.offer(lot(item.text, plan.seed), item.text)
        rows += len(batch)
        yield RowsRead("checking", split, rows)
    if not rows:
        raise TrainingError(f"{', '.join(str(s.path) for s in plan.splits[split])}: no rows.")


def _refuse_leaks(plan: Plan, leakage: Leakage) -> None:
    if not leakage.counts or plan.duplicates != "refuse":
        return
    counted = ", ".join(f"{n} of {a} in {b}" for (a, b), n in leakage.counts.items())
    raise TrainingError(
        f"Splits share texts ({counted}); a score on these tells what was learned by heart:\n"
        + "".join(f"  {leak}\n" for leak in leakage.shown)
        + "Drop them from the later split with --duplicates drop, or keep them, counted, with "
        "--duplicates report."
    )


def _write(
    plan: Plan,
    split: str,
    by: Partitioning,
    leakage: Leakage,
    out: Path,
    portraits: dict[str, PartitionStats],
) -> Iterator[RowsRead]:
    rows = 0
    with PartFiles(out, split) as files:
        for batch in batched(_items(plan, split)):
            kept = _without_leaks(batch, split, leakage) if plan.duplicates == "drop" else batch
            for item, (part, key) in zip(kept, _placed(kept, by, plan.seed), strict=True):
                files.write(part, item)
                portraits[part].note(split, item, key)
            rows += len(batch)
            yield RowsRead("writing", split, rows)


def _without_leaks(batch: Sequence[RowItem], split: str, leakage: Leakage) -> Sequence[RowItem]:
    return [i for i, leaked in zip(batch, leakage.leaked(split, batch), strict=True) if not leaked]


def _placed(items: Sequence[RowItem], by: Partitioning, seed: int) -> Sequence[tuple[str, float]]:
    """For each item its part, and the key by which a few are chosen to be shown."""
    if isinstance(by, ByCluster):
        return by.parts_of([item.text for item in items]) if items else ()
    return [(by.part_of(item), lot(item.text, seed)) for item in items]


def _items(plan: Plan, split: str) -> Iterator[RowItem]:
    for source in plan.splits[split]:
        yield from read_items(source, plan.columns)
