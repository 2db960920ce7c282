"""Greedy k-center: again and again the point that is farthest from all chosen ones (Gonzalez, 1985)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

CANDIDATES = 512
"""How many of the farthest points compete at once; any number gives the same choice."""
ROWS_AT_ONCE = 4096
NEVER = -1.0
"""The distance of a point that must not be chosen again."""


@dataclass(frozen=True)
class Covered:
    """The points chosen in order, and how far every point is from the nearest of them."""

    order: list[int]
    nearest: np.ndarray
    """`[points]`, float32; 0 for the chosen."""


def farthest_first(vectors: np.ndarray, chosen: Sequence[int], more: int) -> Covered:
    """So many more points than those already chosen; of equally far ones the earlier, euclidean distances.

    In rounds: only the farthest points compete, and the round ends when the best of them is no farther than
    the farthest that does not compete. So the choice is the greedy one, with one pass over all points a
    round.
    """
    import numpy as np

    order, nearest = list(chosen), np.full(len(vectors), np.inf, dtype=np.float32)
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    _approach(nearest, vectors, squares, order)
    while more > 0:
        found = _round(nearest, vectors, squares, more)
        _approach(nearest, vectors, squares, found)
        order, more = order + found, more - len(found)
    nearest[order] = 0
    return Covered(order, nearest)


def distances(
    vectors: np.ndarray, squares: np.ndarray, rows: np.ndarray | slice, to: np.ndarray
) -> np.ndarray:
    """Euclidean distances of some points to others, `[rows, to]`: float64 inside, float32 outside."""
    import numpy as np

    left, right = vectors[rows].astype(np.float64), vectors[to].astype(np.float64)
    sums = squares[rows][:, None] + squares[to][None, :]
    squared = sums - 2 * (left @ right.T)
    # Equal points come out as rounding noise, and noise must not decide which of them is farther.
    squared[squared < 1e-13 * sums] = 0
    return np.sqrt(squared).astype(np.float32)


def _approach(nearest: np.ndarray, vectors: np.ndarray, squares: np.ndarray, centres: list[int]) -> None:
    """Takes new centres into account."""
    import numpy as np

    to = np.asarray(centres, dtype=np.int64)
    for start in range(0, len(vectors) if len(to) else 0, ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        closer = distances(vectors, squares, rows, to).min(axis=1)
        np.minimum(nearest[rows], closer, out=nearest[rows])
    nearest[to] = NEVER


def _round(nearest: np.ndarray, vectors: np.ndarray, squares: np.ndarray, more: int) -> list[int]:
    """The next points in greedy order, as many as can be told without looking at all the others."""
    import numpy as np

    competing, bound = _competitors(nearest)
    among = distances(vectors, squares, competing, competing)
    distance = nearest[competing]
    found: list[int] = []
    while len(found) < more:
        best = int(distance.argmax())
        if found and distance[best] <= bound:
            break
        found.append(int(competing[best]))
        np.minimum(distance, among[best], out=distance)
        distance[best] = NEVER
    return found


def _competitors(nearest: np.ndarray) -> tuple[np.ndarray, float]:
    """The farthest points in ascending order, the first of the farthest among them, and how far the others
    are."""
    import numpy as np

    if len(nearest) <= CANDIDATES + 1:
        return np.arange(len(nearest)), NEVER
    far = np.argpartition(-nearest, CANDIDATES)
    bound = float(nearest[far[CANDIDATES]])
    return np.union1d(far[:CANDIDATES], [int(nearest.argmax())]), bound
