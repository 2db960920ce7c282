"""Greedy k-center: again and again the point that is farthest from all chosen ones (Gonzalez, 1985)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

CANDIDATES = 512
"""How many of the farthest points compete at once; any number gives the same choice."""
ROWS_AT_ONCE = 2048
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
    round. Passes are in float32; where that does not tell which of two points is farther, float64 decides.
    """
    rough = Rough.of(vectors, chosen)
    while len(rough.order) < len(chosen) + more:
        found = rough.round(len(chosen) + more - len(rough.order))
        if not found:
            return _exactly(vectors, rough.order, len(chosen) + more - len(rough.order))
        rough.take(found)
    return Covered(rough.order, rough.distances())


@dataclass
class Rough:
    """Squared distances in float32, and the exact ones of points that they do not tell apart."""

    vectors: np.ndarray
    shifted: np.ndarray
    """The vectors around 0: their distances are the same, and less is rounded off."""
    squares: np.ndarray
    """The squared lengths of those, float32."""
    doubt: float
    """So far a squared distance is off at most."""
    order: list[int]
    nearest: np.ndarray
    """`[points]`, float32: the squared distance to the nearest chosen point; minus infinity for those."""
    owner: np.ndarray
    """`[points]`: which of the chosen points that is, by its place in the order."""

    @staticmethod
    def of(vectors: np.ndarray, chosen: Sequence[int]) -> Rough:
        import numpy as np

        shifted = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        squares = np.einsum("ij,ij->i", shifted, shifted)
        each = 2 * float(np.finfo(np.float32).eps) * vectors.shape[1] ** 0.5
        doubt = each * float(squares.max(initial=0))
        nearest = np.full(len(vectors), np.inf, dtype=np.float32)
        owner = np.zeros(len(vectors), dtype=np.int64)
        rough = Rough(vectors, shifted, squares, doubt, [], nearest, owner)
        rough.take(list(chosen))
        return rough

    def take(self, centres: list[int]) -> None:
        """Adds points to the chosen ones."""
        import numpy as np

        every = np.arange(len(self.vectors))
        towards, lengths = (-2 * self.shifted[centres]).T.copy(), self.squares[centres]
        for rows in self._within_reach(centres) if centres else ():
            squared = self.shifted[rows] @ towards
            squared += lengths
            distance = squared.min(axis=1) + self.squares[rows]
            closer = np.flatnonzero(distance < self.nearest[rows])
            points = every[rows][closer]
            self.nearest[points] = distance[closer]
            self.owner[points] = squared[closer].argmin(axis=1) + len(self.order)
        self.order += centres
        self.nearest[centres] = -np.inf

    def _within_reach(self, centres: list[int]) -> list[np.ndarray] | list[slice]:
        """The points to which one of the centres may be nearer than those before it, in parts.

        It is not where it is twice as far from the nearest of those as the point is.
        """
        import numpy as np

        starts = range(0, len(self.vectors), ROWS_AT_ONCE)
        if not self.order:
            return [slice(start, start + ROWS_AT_ONCE) for start in starts]
        products = self.shifted[self.order] @ self.shifted[centres].T
        between = self.squares[self.order][:, None] + self.squares[centres] - 2 * products
        reach = between.min(axis=1)[self.owner] <= 4 * self.nearest + 8 * self.doubt
        if reach.mean() > 0.8:
            return [slice(start, start + ROWS_AT_ONCE) for start in starts]
        points = np.flatnonzero(reach)
        return [points[start : start + ROWS_AT_ONCE] for start in range(0, len(points), ROWS_AT_ONCE)]

    def round(self, more: int) -> list[int]:
        """The next points in greedy order, as many as can be told without looking at all the others."""
        import numpy as np

        competing, bound = _competitors(self.nearest)
        points, lengths = self.shifted[competing], self.squares[competing]
        among = lengths[:, None] + lengths[None, :] - 2 * (points @ points.T)
        squared = self.nearest[competing]
        found: list[int] = []
        while len(found) < more:
            greatest = squared.max()
            if greatest <= bound + 2 * self.doubt:
                break
            close = np.flatnonzero(squared >= greatest - 2 * self.doubt)
            best = int(close[self._farthest(competing[close], found) if len(close) > 1 else 0])
            found.append(int(competing[best]))
            np.minimum(squared, among[best], out=squared)
            squared[best] = -np.inf
        return found

    def _farthest(self, points: np.ndarray, found: list[int]) -> int:
        return int(_nearest(self.vectors, points, self.order + found).argmax())

    def distances(self) -> np.ndarray:
        """How far every point is from the nearest chosen one."""
        import numpy as np

        away = np.sqrt(np.maximum(self.nearest, 0))
        # The root of a small difference of large numbers would be wrong in its first digits.
        near = np.flatnonzero(self.nearest < 1000 * self.doubt)
        away[near] = _nearest(self.vectors, near, self.order)
        away[self.order] = 0
        return away


def _exactly(vectors: np.ndarray, chosen: Sequence[int], more: int) -> Covered:
    """The same choice from float64 distances, one point after the other: for points that are about equally
    far."""
    import numpy as np

    order = list(chosen)
    nearest = _nearest(vectors, np.arange(len(vectors)), order)
    nearest[order] = NEVER
    wide = vectors.astype(np.float64)
    squares = np.einsum("ij,ij->i", wide, wide)
    while more > 0 and nearest.max() > 0:
        order.append(int(nearest.argmax()))
        away = _roots(squares + squares[order[-1]], wide @ wide[order[-1]])
        np.minimum(nearest, away, out=nearest)
        nearest[order[-1]], more = NEVER, more - 1
    order += np.flatnonzero(nearest > NEVER)[:more].tolist()
    nearest[order] = 0
    return Covered(order, nearest)


def _nearest(vectors: np.ndarray, points: np.ndarray, centres: Sequence[int]) -> np.ndarray:
    """How far points are from the nearest of the centres."""
    import numpy as np

    to = vectors[centres].astype(np.float64)
    parts = (points[start : start + ROWS_AT_ONCE] for start in range(0, len(points), ROWS_AT_ONCE))
    found = [distances(vectors[part].astype(np.float64), to).min(axis=1) for part in parts]
    return np.concatenate([np.empty(0, dtype=np.float32), *found])


def distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Euclidean distances of float64 points, `[left, right]`."""
    import numpy as np

    squares = [np.einsum("ij,ij->i", each, each) for each in (left, right)]
    return _roots(squares[0][:, None] + squares[1][None, :], left @ right.T)


def _roots(sums: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Distances from sums of squared lengths and dot products: roots of float32 numbers, as in scikit-learn."""
    import numpy as np

    squared = sums - 2 * products
    # Equal points come out as rounding noise, and noise must not decide which of them is farther.
    squared[squared < 1e-13 * sums] = 0
    return np.sqrt(squared.astype(np.float32))


def _competitors(nearest: np.ndarray) -> tuple[np.ndarray, float]:
    """The farthest points in ascending order, the first of the farthest among them, and how far the others
    are."""
    import numpy as np

    if len(nearest) <= CANDIDATES + 1:
        return np.arange(len(nearest)), -np.inf
    far = np.argpartition(-nearest, CANDIDATES)
    bound = float(nearest[far[CANDIDATES]])
    return np.union1d(far[:CANDIDATES], [int(nearest.argmax())]), bound
