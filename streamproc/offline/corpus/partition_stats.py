"""What a partition looks like: how large it is, which labels it has, a few of its texts."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from streamproc.offline.corpus.bottom_k_sample import BottomKSample
from streamproc.offline.corpus.items import RowItem

_TEXTS = 5


@dataclass(slots=True)
class PartitionStats:
    """A partition, as its rows pass by.

    rows:   by split
    labels: by split, how often each occurs
    texts:  of "train", those nearest to the cluster's centre, or a random sample
    """

    rows: Counter[str] = field(default_factory=Counter)
    labels: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    texts: BottomKSample = field(default_factory=lambda: BottomKSample(_TEXTS))

    def note(self, split: str, item: RowItem, key: float) -> None:
        """Count a row in. key: its distance from the centre, or its rank; the smallest are shown.

        Raises TrainingError when there is no end of labels.
        """
        self.rows[split] += 1
        counts = self.labels[split]
        counts.update(item.labels)
        item.expect_end_of(counts)
        if split == "train":
            self.texts.offer(key, item.text)
