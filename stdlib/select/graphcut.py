"""Greedy bins of the graph-cut function: central, mutually unlike rows first, outliers last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .pairs import Pairs, cosine

if TYPE_CHECKING:
    import numpy as np

HELD = 8000
"""Up to so many points the table of all pairs is held: 256 MB."""
BLOCK = 2048
"""Points multiplied at once, few enough for the processor's cache."""
LEAST, MOST = 1024, 0.2
"""How many points are looked at by themselves at first; all are where it would be more than this part."""
TRIED, AHEAD = 64, 512
"""So many choices at least and at most are made before the values of all points are computed anew."""
STRIDE = 16
"""At most so many choices are confirmed together."""
KEPT = 250_000_000
"""So many similarities computed ahead are kept: 1 GB."""
ROUNDED = 2e-6
"""So far, for each number added, float32 sums of numbers of at most 1 are off at most."""
SLIGHT = 1e-13
"""Part of the greatest possible value by which equal ones differ in float64 at most."""
DOUBT = 1e-6
"""So far the product of two unit vectors in float32 is off at most."""


def graph_cut_bins(points: np.ndarray, sizes: Sequence[int], *, single: bool = False) -> list[np.ndarray]:
    """Positions of the points of each bin, ascending.

    Each bin takes, one after the other, the point x of greatest Σ_p p·x - 2 Σ_s s·x, over all points p left when
    the bin began and all s taken into it so far; of equal ones the first. The values are those of float64 sums;
    with `single`, and few points, those of float32 sums in the order of the points, so that more are equal.
    """
    import numpy as np

    few = len(points) <= HELD
    fill = Table(points, single).fill if few else lambda left, size: Bin(points[left]).fill(size)
    left = np.arange(len(points))
    bins: list[np.ndarray] = []
    for size in sizes:
        taken = fill(left, size) if size < len(left) else np.arange(len(left))
        bins.append(np.sort(left[taken]))
        left = np.delete(left, taken)
    return bins


class Table:
    """How alike all points are, for choices among few."""

    def __init__(self, points: np.ndarray, single: bool):
        self.pairs, self.single = Pairs(points.astype("float64"), cosine), single

    def fill(self, left: np.ndarray, size: int) -> list[int]:
        """The points of one bin, as positions in `left`, in the order in which it takes them."""
        import numpy as np

        points, values = self.pairs.points, np.full(len(self.pairs), -np.inf)
        # Rounded, because equal points are to have equal values.
        values[left] = (points[left] @ points[left].sum(axis=0)).round(9)
        doubt = ROUNDED * len(left) * float(np.square(points).sum(axis=1).max())
        taken: list[int] = []
        while len(taken) < size:
            best = self._first(values, doubt, left, taken) if self.single else int(values.argmax())
            taken.append(best)
            values -= 2 * self.pairs.row(best)
            values[best] = -np.inf
        return np.searchsorted(left, taken).tolist()

    def _first(self, values: np.ndarray, doubt: float, left: np.ndarray, taken: list[int]) -> int:
        """The first point of the greatest float32 value."""
        import numpy as np

        near = np.flatnonzero(values >= values.max() - doubt)
        if len(near) > 1:
            near = near[[(self._sum(left, near) - 2 * self._sum(np.sort(taken), near)).argmax()]]
        return int(near[0])

    def _sum(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """How alike some points are to all of others, one added after the other."""
        return self.pairs.among(rows.astype(int), columns).sum(axis=0)


@dataclass(slots=True)
class Foreseen:
    """Choices among some points, as if there were no others."""

    order: list[int] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    """At most the value of each when it was chosen."""
    compared: int = 0
    """How many points were compared with all of them."""


class Bin:
    """One bin of many points, filled in rounds.

    A point's value is its product with one vector, `pull`, so that all values cost one product anew, however many
    points were taken in between. A round chooses among the foremost points alone, then confirms those choices that
    no other point would have preceded.
    """

    def __init__(self, points: np.ndarray):
        import numpy as np

        self.points = points
        self.pull = sum((block.sum(axis=0) for _, block in wide(points)), np.zeros(points.shape[1]))
        self.longest = max(float(np.linalg.norm(block, axis=1).max()) for _, block in wide(points))
        self.slight = SLIGHT * self.longest * max(float(np.linalg.norm(self.pull)), self.longest)
        self.values = self._values()
        self.taken: list[int] = []
        self.width, self.stride, self.ahead = LEAST, STRIDE // 2, AHEAD // 2
        self.bent = False

    def fill(self, size: int) -> list[int]:
        """The points in the order in which the bin takes them."""
        while len(self.taken) < size:
            self._round(size - len(self.taken))
        return self.taken

    def _round(self, more: int) -> None:
        import numpy as np

        front = self._front()
        few, whole = self.points[front], len(front) == len(self.points) - len(self.taken)
        found = self._foresee(few, self.values[front], min(self.ahead, more))
        sums = np.cumsum(few[found.order], axis=0, dtype=np.float64)
        sure = len(found.order) if whole else self._sure(front, sums, np.array(found.levels))
        if sure:
            self.pull -= 2 * sums[sure - 1]
            self.taken += front[found.order[:sure]].tolist()
            self.values = self._values()
            self.values[self.taken] = -np.inf
        self._adapt(found, sure, len(front))

    def _front(self) -> np.ndarray:
        """Positions of the points of the greatest values, ascending; of all that are left where it would be many."""
        import numpy as np

        rows = len(self.points)
        if self.width >= MOST * rows:
            return np.flatnonzero(self.values > -np.inf)
        return np.sort(np.argpartition(self.values, rows - self.width)[rows - self.width :])

    def _foresee(self, points: np.ndarray, values: np.ndarray, more: int) -> Foreseen:
        """So many choices among these points; float32 decides but where it is in doubt."""
        import numpy as np

        found, pull, similar = Foreseen(), self.pull.copy(), Similar(points)
        for done in range(min(more, int((values > -np.inf).sum()))):
            doubt = 2 * DOUBT * self.longest**2 * done
            near = np.flatnonzero(values >= values.max() - 2 * doubt - self.slight)
            best = int(near[0])
            if len(near) > 1:
                exact = points[near].astype(np.float64) @ pull
                best = int(near[exact >= exact.max() - self.slight][0])
            found.levels.append(float(values[best]) - doubt)
            found.order.append(best)
            pull -= 2 * points[best].astype(np.float64)
            values -= similar.twice(best, values)
            values[best] = -np.inf
        found.compared = similar.computed
        return found

    def _sure(self, front: np.ndarray, sums: np.ndarray, levels: np.ndarray) -> int:
        """How many of the choices no point outside the front would have preceded."""
        import numpy as np

        starts = range(0, len(levels), self.stride)
        highest = self._highest(front, sums, [start - 1 for start in starts[1:]], levels[0])
        zero, sure = np.zeros(sums.shape[1]), 0
        for at, start in enumerate(starts):
            part = sums[start : start + self.stride] - (sums[start - 1] if start else zero)
            above = (
                max(highest[at : at + 2]) + 2 * self.longest * bend(part) if len(part) > 1 else highest[at]
            )
            lowest = levels[start : start + self.stride].min() - levels[0] - self.slight
            if lowest <= above:
                self.bent = lowest > max(highest[at : at + 2])
                break
            sure = start + len(part)
        # Before the first choice the values are exact.
        return sure or int(highest[0] + self.slight < 0)

    def _highest(self, front: np.ndarray, sums: np.ndarray, after: list[int], level: float) -> np.ndarray:
        """The greatest value outside the front, less the level: before any choice, after some, and after all."""
        import numpy as np

        others = self.values - level
        others[front] = -np.inf
        narrow = self.points.dtype
        steps = (-2 * sums[[*after, len(sums) - 1]]).T.astype(narrow)
        highest = np.full(steps.shape[1] + 1, -np.inf)
        highest[0], others = others.max(), others.astype(narrow)
        for start in range(0, len(self.points), BLOCK):
            values = self.points[start : start + BLOCK] @ steps
            values += others[start : start + BLOCK, None]
            np.maximum(highest[1:], values.max(axis=0), out=highest[1:])
        highest[1:] += 20 * DOUBT * self.longest * np.linalg.norm(2 * sums[-1])
        return highest

    def _adapt(self, found: Foreseen, sure: int, width: int) -> None:
        """Looks at more points, or confirms fewer choices at once, or the reverse, whichever costs less."""
        rows, tried = len(self.points), len(found.order)
        inside, outside = 2 * found.compared * width, rows * (tried // self.stride + 20)
        if sure == tried:
            self.ahead = min(AHEAD, self.ahead + self.ahead // 2)
            if inside > outside:
                self.width = max(LEAST // 4, 1 + int(0.9 * width))
            elif outside > 4 * inside:
                self.stride = min(STRIDE, 2 * self.stride)
            return
        self.ahead = max(TRIED, sure + sure // 4)
        if self.bent and self.stride > 1:
            self.stride //= 2
        else:
            self.width = width + width // (2 if sure else 1)

    def _values(self) -> np.ndarray:
        """`[points]`, float64."""
        import numpy as np

        return np.concatenate([block @ self.pull for _, block in wide(self.points)])


def wide(points: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The points in float64, some after the other, and where they begin."""
    for start in range(0, len(points), BLOCK):
        yield start, points[start : start + BLOCK].astype("float64")


def bend(sums: np.ndarray) -> float:
    """How far the sums are at most from the straight way between 0 and the last of them."""
    import numpy as np

    along = np.clip(sums @ sums[-1] / max(float(sums[-1] @ sums[-1]), 1e-300), 0, 1)
    return float(np.linalg.norm(sums - along[:, None] * sums[-1], axis=1).max())


@dataclass
class Similar:
    """Twice how like one point all others are, computed for many points that are likely to be asked for next."""

    points: np.ndarray
    rows: dict[int, np.ndarray] = field(default_factory=dict)
    computed: int = 0
    ahead: int = 32

    def twice(self, point: int, values: np.ndarray) -> np.ndarray:
        """The row of the point of the greatest value."""
        if point not in self.rows:
            self._compute(point, values)
        return self.rows.pop(point)

    def _compute(self, point: int, values: np.ndarray) -> None:
        import numpy as np

        if self.computed:
            self.ahead = (
                min(128, 2 * self.ahead) if 4 * len(self.rows) < self.ahead else max(8, self.ahead // 2)
            )
        foremost = np.argpartition(-values, min(self.ahead, len(values) - 1))[: self.ahead]
        others = foremost[(foremost != point) & (values[foremost] > -np.inf)].tolist()
        wanted = [point, *(other for other in others if other not in self.rows)]
        self.computed += len(wanted)
        self.rows |= zip(wanted, 2 * self.points[wanted] @ self.points.T, strict=True)
        while len(self.rows) > max(KEPT // len(values), len(wanted)):
            del self.rows[next(iter(self.rows))]
