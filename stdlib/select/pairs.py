"""How alike the points are, pair by pair, without a table of all pairs where that would be large."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    Alike: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Of two sets of points how alike each of the first is to each of the second."""

HELD = 16_000
"""Up to so many points the table of all pairs is held: 1 GB."""
COLUMNS = 8192
"""So many points are compared with others at once."""


@dataclass
class Pairs:
    """A symmetric measure of how alike two points are, float32 of a float64 sum.

    So it does not depend on what is compared at once, and equal points are equally alike to all others.
    """

    points: np.ndarray
    """`[points, dimensions]`, float64."""
    alike: Alike
    fine: bool = False
    """Its differences are so small that float32 sums tell nothing of them."""

    def __len__(self) -> int:
        return len(self.points)

    @property
    def held(self) -> bool:
        """Whether the table of all pairs is in memory."""
        return len(self) <= HELD

    def rows(self, which: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """How alike some points are to all, `[which, columns]`, some columns after the other; may be written
        to."""
        for start in range(0, len(self), COLUMNS):
            columns = slice(start, start + COLUMNS)
            yield columns, self._exact(which, columns)

    def roughly(self, which: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """The same from float32 sums."""
        for start in range(0, len(self), COLUMNS):
            columns = slice(start, start + COLUMNS)
            yield columns, self.alike(self._narrow[which], self._narrow[columns])

    def nearly(self, which: slice, others: slice) -> np.ndarray:
        """How alike some points are to others, from float32 sums."""
        return self.alike(self._narrow[which], self._narrow[others])

    def row(self, which: int) -> np.ndarray:
        """How alike a point is to all; not to be written to."""
        import numpy as np

        if self.held:
            return self._table[which]
        return np.concatenate([part[0] for _, part in self.rows(np.array([which]))])

    def among(self, which: np.ndarray, others: np.ndarray) -> np.ndarray:
        """How alike some points are to others, where the table is held: `[which, others]`."""
        return self._table[which[:, None], others]

    def _exact(self, which: np.ndarray, columns: slice) -> np.ndarray:
        if self.held:
            return self._table[which, columns]
        return self.alike(self.points[which], self.points[columns]).astype("float32")

    @cached_property
    def _narrow(self) -> np.ndarray:
        return self.points.astype("float32")

    @cached_property
    def _table(self) -> np.ndarray:
        """Of all pairs; each is computed once."""
        import numpy as np

        table = np.empty((len(self), len(self)), dtype=np.float32)
        for start in range(0, len(self), 1024):
            these, on = slice(start, start + 1024), slice(start, None)
            table[these, on] = self.alike(self.points[these], self.points[on])
            table[on, these] = table[these, on].T
        return table


def cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of points at length 1."""
    return left @ right.T


def nearness(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """exp(-‖x - y‖ / d) with `d` dimensions: submodlib's similarity of the metric `euclidean`."""
    import numpy as np

    squares = [np.einsum("ij,ij->i", each, each) for each in (left, right)]
    squared = squares[0][:, None] + squares[1][None, :] - 2 * (left @ right.T)
    # A point's distance to itself, or to its copy, comes out as rounding noise.
    squared[squared < 1e-13] = 0
    return np.exp(-np.sqrt(squared) / left.shape[1])
