"""Greedy bins of the graph-cut function: central, mutually unlike rows first, outliers last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

AHEAD = 128
"""For so many of the foremost points similarities are computed together; any number gives the same bins."""
KEPT = 250_000_000
"""So many similarities computed ahead are kept: 1 GB."""


def graph_cut_bins(points: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Positions of the points of each bin, ascending; points are float64.

    Each bin takes, one after the other, the point x of greatest Σ_p p·x - 2 Σ_s s·x, over all points p left when
    the bin began and all s taken into it so far; of equal ones the first.
    """
    import numpy as np

    left = np.arange(len(points))
    bins: list[np.ndarray] = []
    for size in sizes:
        taken = _fill(points[left], size)
        bins.append(np.sort(left[taken]))
        left = np.delete(left, taken)
    return bins


def _fill(points: np.ndarray, size: int) -> list[int]:
    """The points of one bin in the order in which it takes them."""
    import numpy as np

    # Rounded, because equal points are to have equal values.
    values, similar = (points @ points.sum(axis=0)).round(9), Similar(points)
    taken: list[int] = []
    while len(taken) < size:
        best = int(values.argmax())
        taken.append(best)
        values -= 2 * similar.row(best, values)
        values[best] = -np.inf
    return taken


@dataclass
class Similar:
    """How like one point all others are, computed for many points that are likely to be asked for next."""

    points: np.ndarray
    rows: dict[int, np.ndarray] = field(default_factory=dict)

    def row(self, point: int, values: np.ndarray) -> np.ndarray:
        """The row of the point of the greatest value."""
        if point not in self.rows:
            self._compute(point, values)
        return self.rows.pop(point)

    def _compute(self, point: int, values: np.ndarray) -> None:
        import numpy as np

        foremost = np.argpartition(-values, min(AHEAD, len(values) - 1))[:AHEAD]
        others = foremost[(foremost != point) & (values[foremost] > -np.inf)].tolist()
        wanted = [point, *(other for other in others if other not in self.rows)]
        block = (self.points[wanted] @ self.points.T).astype(np.float32)
        self.rows |= zip(wanted, (row.copy() for row in block), strict=True)
        while len(self.rows) > max(KEPT // len(values), len(wanted)):
            del self.rows[next(iter(self.rows))]
