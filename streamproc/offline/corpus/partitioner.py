"""A corpus of any size, cut into partitions on disk: read once to check it, once to cut it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from streamproc.errors import TrainingError
from streamproc.offline.corpus.bottom_k_sample import BottomKSample, hash_rank
from streamproc.offline.corpus.clusters import ByCluster, fit_clusters
from streamproc.offline.corpus.description import write_description
from streamproc.offline.corpus.items import RowItem, batched, read_items
from streamproc.offline.corpus.leakage import Leakage
from streamproc.offline.corpus.part_files import part_files
from streamproc.offline.corpus.partition_plan import PartitionPlan
from streamproc.offline.corpus.partition_stats import PartitionStats
from streamproc.offline.corpus.partitioning import Partitioning, clusters_from, partitioning_from
from streamproc.repository.files import atomic_directory

OnProgress = Callable[[str], None]
"""Called with what is being done, and how far it is."""


@dataclass(frozen=True, slots=True)
class PartitionedCorpus:
    """What is on disk.

    stats:  by partition, in the order of their names
    leaked: rows by split and the earlier split that has their text
    """

    out: Path
    by: Partitioning
    stats: Mapping[str, PartitionStats]
    leaked: Mapping[tuple[str, str], int]


def partition_corpus(
    plan: PartitionPlan, on_progress: OnProgress = lambda _: None
) -> PartitionedCorpus:
    """Cut a corpus into the partitions that members are trained on.

    Rows pass by in batches. What stays in memory: 8 bytes a row, a sample of the texts for
    clusters, and a few numbers and texts a partition. The folder appears when it is complete.
    Raises TrainingError when the corpus can't be cut, or splits share texts and may not.
    """
    if plan.out.exists():
        raise TrainingError(f"{plan.out} is there already: name another folder, or remove it.")
    clusters = clusters_from(plan.by)
    # Before the corpus is read, which may take long: what can be wrong with --by.
    by = None if clusters else partitioning_from(plan.by, plan.seed)
    sample = BottomKSample(plan.sample_texts) if clusters else None
    leakage, rows = _check(plan, sample, on_progress)
    _refuse_leaks(plan, leakage)

    if clusters and sample and plan.features:
        texts = sample.texts()
        on_progress(f"fitting {clusters} clusters on {len(texts):,} texts")
        by = fit_clusters(texts, clusters, plan.features, plan.seed)
    if by is None:
        raise TrainingError(f"{plan.by!r} needs features to make clusters of.")

    with atomic_directory(plan.out) as unfinished:
        stats = _write(plan, by, leakage, unfinished, on_progress)
        write_description(unfinished, plan, by, stats, rows, leakage.counts)
    return PartitionedCorpus(plan.out, by, stats, leakage.counts)


def _check(
    plan: PartitionPlan, sample: BottomKSample | None, on_progress: OnProgress
) -> tuple[Leakage, Counter[tuple[str, Path]]]:
    """Texts that several splits have, and rows by split and file.

    sample: of "train", for clusters
    """
    leakage, rows = Leakage(), Counter[tuple[str, Path]]()
    for split in plan.splits:
        leakage.start(split)
        for batch in _batches(plan, split, "checking", on_progress):
            leakage.add(split, batch)
            rows.update((split, item.row.path) for item in batch)
            if sample and split == "train":
                for item in batch:
                    sample.offer(hash_rank(item.text, plan.seed), item.text)
    return leakage, rows


def _refuse_leaks(plan: PartitionPlan, leakage: Leakage) -> None:
    if not leakage.counts or plan.duplicates != "refuse":
        return
    counted = ", ".join(f"{n} of {a} in {b}" for (a, b), n in leakage.counts.items())
    raise TrainingError(
        f"Splits share texts ({counted}); a score on these tells what was learned by heart:\n"
        + "".join(f"  {example}\n" for example in leakage.examples)
        + "Drop them from the later split with --duplicates drop, or keep them, counted, with "
        "--duplicates report."
    )


def _write(
    plan: PartitionPlan, by: Partitioning, leakage: Leakage, out: Path, on_progress: OnProgress
) -> Mapping[str, PartitionStats]:
    """Every row into the file of its partition and split; what partitions then look like."""
    stats: dict[str, PartitionStats] = defaultdict(PartitionStats)
    for split in plan.splits:
        with part_files(out, split) as write:
            for batch in _batches(plan, split, "writing", on_progress):
                kept = leakage.without_leaked(split, batch) if plan.duplicates == "drop" else batch
                for item, (part, rank) in zip(kept, _placed(kept, by, plan.seed), strict=True):
                    write(part, item)
                    stats[part].note(split, item, rank)
    return {name: stats[name] for name in sorted(stats)}


def _placed(items: Sequence[RowItem], by: Partitioning, seed: int) -> Sequence[tuple[str, float]]:
    """For each item its part, and the rank by which a few are chosen to be shown."""
    if isinstance(by, ByCluster):
        return by.parts_of([item.text for item in items]) if items else ()
    return [(by.part_of(item), hash_rank(item.text, seed)) for item in items]


def _batches(
    plan: PartitionPlan, split: str, doing: str, on_progress: OnProgress
) -> Iterator[Sequence[RowItem]]:
    """A pass over a split; raises TrainingError when it has no rows."""
    sources, rows = plan.splits[split], 0
    for batch in batched(chain.from_iterable(read_items(one, plan.columns) for one in sources)):
        yield batch
        rows += len(batch)
        on_progress(f"{doing} {split}: {rows:,} rows")
    if not rows:
        raise TrainingError(f"{', '.join(str(source.path) for source in sources)}: no rows.")
