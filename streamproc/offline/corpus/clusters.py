"""Partitions by topic: k-means over features of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamproc.errors import TrainingError
from streamproc.offline.corpus.bottom_k_sample import SAMPLED_CHARACTERS
from streamproc.offline.corpus.partitioning import CorpusRecord
from streamproc.types import FloatArray


class Features(Protocol):
    """Texts as points, such that texts on one topic lie close together."""

    @property
    def description(self) -> str:
        """What they are, with versions and digests, for partition.toml."""
        ...

    def of(self, texts: Sequence[str]) -> NDArray[np.floating]:
        """(texts, width), each row of length 1."""
        ...


@dataclass(frozen=True, slots=True)
class ByCluster:
    """One part for each cluster, the largest first; of a text its first 2,000 characters count.

    centres: (clusters, width)
    """

    features: Features
    centres: FloatArray
    by_content: bool = True

    @property
    def description(self) -> str:
        fitted = f"by k-means of scikit-learn {metadata.version('scikit-learn')}"
        return f"{fitted}, {len(self.centres)} clusters of {self.features.description}"

    @property
    def names(self) -> Sequence[str]:
        """The parts' names, in the order of the centres."""
        count = len(self.centres)
        return [f"cluster-{number}-of-{count}" for number in range(1, count + 1)]

    def part_of(self, record: CorpusRecord) -> str:
        return self.parts_of([record.text])[0][0]

    def parts_of(self, texts: Sequence[str]) -> Sequence[tuple[str, float]]:
        """For each text the part with the nearest centre, and how far that is."""
        points = self.features.of([text[:SAMPLED_CHARACTERS] for text in texts])
        distances = _distances(points, self.centres)
        nearest = distances.argmin(axis=1)
        names = self.names
        return [
            (names[centre], float(own[centre]))
            for centre, own in zip(nearest, distances, strict=True)
        ]


def fit_clusters(sample: Sequence[str], count: int, features: Features, seed: int) -> ByCluster:
    """Clusters of a random sample of a corpus; raises TrainingError when it has too few texts.

    The best of ten starts of mini-batch k-means (Sculley, 2010), as scikit-learn has it. Of a
    sample, not of a stream: what a stream gives depends on the order of the corpus.
    """
    from sklearn.cluster import MiniBatchKMeans  # noqa: PLC0415  # of the train extra

    if len(sample) < count:
        raise TrainingError(
            f"{count} clusters need as many different texts; there are {len(sample)} to train on."
        )
    points = features.of(sample)
    model = MiniBatchKMeans(count, random_state=seed, n_init=10, reassignment_ratio=0)
    centres = np.asarray(model.fit(points).cluster_centers_, dtype=np.float64)
    sizes = np.bincount(_distances(points, centres).argmin(axis=1), minlength=count)
    order = np.argsort(-sizes, kind="stable")
    return ByCluster(features, centres[order])


def _distances(points: NDArray[np.floating], centres: FloatArray) -> FloatArray:
    """(points, centres) Euclidean."""
    wide = points.astype(np.float64)
    squares = (wide**2).sum(1)[:, None] - 2 * wide @ centres.T + (centres**2).sum(1)
    return np.asarray(np.sqrt(np.maximum(squares, 0)))
