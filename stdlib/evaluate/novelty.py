"""How new every row is among the others: NovelSum (Yang et al., 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

NUMBERS_AT_ONCE = 8_000_000
SAME = 1e-6
"""Rows that are nearer than this are one and the same."""


@dataclass(frozen=True, slots=True)
class Weighing:
    """How neighbours count."""

    neighbours: int = 10
    """The density of a row is over so many of its nearest reference rows."""
    density: float = 0.5
    """The exponent of the density."""
    nearness: float = 1.0
    """A neighbour of rank r counts 1 / r to this power."""
    published: bool = False
    """As the authors' script: the row's own density weighs its distances, and it is its own first neighbour."""


def novelties(directions: np.ndarray, reference: np.ndarray, weighing: Weighing) -> np.ndarray:
    """Every row's novelty: the mean of its cosine distances to the other rows, times their densities.

    The mean gives the neighbour of rank r, by distance, the weight `1 / r^nearness`.
    """
    import numpy as np

    rows = len(directions)
    dense = densities(directions, reference, weighing)
    ranks = np.arange(1, rows + weighing.published)
    weights = 1 / ranks**weighing.nearness
    step = max(1, NUMBERS_AT_ONCE // rows)
    found = [
        _weighed(directions, range(start, min(start + step, rows)), dense, weights, weighing.published)
        for start in range(0, rows, step)
    ]
    return np.concatenate(found) / weights.sum()


def _weighed(
    directions: np.ndarray, block: range, dense: np.ndarray, weights: np.ndarray, published: bool
) -> np.ndarray:
    import numpy as np

    here = slice(block.start, block.stop)
    distances = np.maximum(1 - directions[here] @ directions.T, 0)
    if published:
        return np.sort(distances, axis=1) @ weights * dense[here]
    distances[np.arange(len(block)), np.arange(block.start, block.stop)] = -1
    order = np.argsort(distances, axis=1)[:, 1:]
    return (np.take_along_axis(distances, order, axis=1) * dense[order]) @ weights


def densities(directions: np.ndarray, reference: np.ndarray, weighing: Weighing) -> np.ndarray:
    """One over the mean squared distance to the nearest other reference rows, to a power.

    Equal reference rows count once.
    """
    import numpy as np
    from sklearn.neighbors import NearestNeighbors

    if weighing.density == 0:
        return np.ones(len(directions))
    search = NearestNeighbors(n_neighbors=weighing.neighbours + 1, algorithm="brute")
    near = search.fit(different(reference)).kneighbors(directions)[0]
    itself = near[:, :1] < SAME
    others = np.where(itself | weighing.published, near[:, 1:], near[:, :-1])
    return ((others**2).mean(axis=1) + 1e-9) ** -weighing.density


def different(vectors: np.ndarray) -> np.ndarray:
    """The vectors without copies."""
    import numpy as np

    return np.unique(vectors, axis=0)
