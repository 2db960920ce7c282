"""DiverseEvol's own k-center, rounding included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .farthest import Covered

if TYPE_CHECKING:
    import numpy as np


def as_published(vectors: np.ndarray, chosen: Sequence[int], more: int) -> Covered:
    """The greedy choice with distances from float32 dot products, where NaN counts as farthest.

    Holds the distances of all points to all points in memory, as the script does.
    """
    import numpy as np

    between = _distances(vectors)
    nearest = between[:, list(chosen)].min(axis=1)
    order, left = list(chosen), np.setdiff1d(np.arange(len(vectors)), chosen)
    for _ in range(more):
        best = int(left[nearest[left].argmax()])
        order.append(best)
        left = left[left != best]
        nearest = np.minimum(nearest, between[:, best])
    away = np.nan_to_num(nearest)
    away[order] = 0
    return Covered(order, away)


def _distances(vectors: np.ndarray) -> np.ndarray:
    """Without a floor at 0 under the root: the order of these sums decides which of them end below it."""
    import torch

    products = torch.from_numpy(vectors) @ torch.from_numpy(vectors).T
    squares = products.diagonal()
    return torch.sqrt(-2 * products + squares[:, None] + squares[None, :]).numpy()
