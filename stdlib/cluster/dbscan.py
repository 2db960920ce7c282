"""Clusters where rows lie densely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ...compiler.op import Answers
from ...errors import DataError
from ..embed.vectors import Points
from .grouping import Grouping

if TYPE_CHECKING:
    import numpy as np

Metric = Literal["cosine", "euclidean"]
PAIRS = 150_000_000
"""So many pairs of neighbours are held at once, in about 2 GB."""
PROBED = 1000
"""Of so many rows the neighbours are counted beforehand."""


class Dbscan(Grouping):
    """The number of the dense region that the row lies in; null for noise and for rows without a vector.

    As scikit-learn's `DBSCAN` (Ester et al., 1996): a row with `least` rows within `distance`, itself included, is
    in the cluster of all such rows that it reaches, and a row near one of those is in its cluster too. A row near
    none is noise: its label is null, as that of a row in no cluster, so that a choice spread over the
    clusters does not take it; with `least = 1` nothing is noise. InsTag joins its tags so, at a cosine distance of 0.05
    (arXiv 2308.07074).
    """

    noun = "dbscan"
    positional = ("distance", "least")
    paper = "https://arxiv.org/abs/2308.07074"
    default_model = "minilm"
    example = 'load "examples/tasks.jsonl" | cluster dbscan(0.2, 2) using nano as region | filter region == 0'

    distance: float = Field(gt=0)
    """How far a neighbour is at most."""
    least: int = Field(5, ge=1)
    """How many rows within the distance make a row the core of a cluster."""
    metric: Metric = "cosine"
    """`cosine` is one minus the similarity."""

    def grouped(self, known: Answers) -> Points:
        return self.directed(known) if self.metric == "cosine" else self.placed(known)

    def labels(self, vectors: np.ndarray, rows: int) -> np.ndarray:
        return regions(vectors, self.distance, self.least, self.metric)


def regions(vectors: np.ndarray, distance: float, least: int, metric: Metric) -> np.ndarray:
    """The number of the dense region that each vector lies in, -1 in none. Raises DataError E551."""
    from sklearn.cluster import DBSCAN

    if not len(vectors):
        return vectors.sum(axis=1)
    _refuse_too_many_pairs(vectors, distance, metric)
    return DBSCAN(eps=distance, min_samples=least, metric=metric).fit_predict(vectors)


def _refuse_too_many_pairs(vectors: np.ndarray, distance: float, metric: Metric) -> None:
    from sklearn.neighbors import NearestNeighbors

    if len(vectors) ** 2 <= PAIRS:
        return
    probe = vectors[:: len(vectors) // PROBED]
    near = NearestNeighbors(radius=distance, metric=metric, algorithm="brute").fit(vectors)
    found = sum(len(row) for row in near.radius_neighbors(probe, return_distance=False))
    pairs = found * len(vectors) // len(probe)
    if pairs > PAIRS:
        raise DataError(
            "E551",
            f"about {pairs:,} pairs of {len(vectors):,} rows are within {distance:g}, "
            f"and dbscan holds {PAIRS:,}",
            help=f"ask for a smaller distance, such as `dbscan({distance / 2:g})`, or use `minibatch`",
        )
