"""Lazy greedy maximisation of a facility-location function (Minoux, 1978)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .pairs import Pairs

if TYPE_CHECKING:
    import numpy as np

AT_FIRST, AT_MOST = 32, 512
"""How many gains are computed at once in a round: twice as many each time."""
CONFIRMED = 4
"""How many of those known roughly are computed exactly at once."""
BLOCK = 1024
"""Of so many points and so many others all pairs are looked at together."""
BEFORE, ROUGH, EXACT = 0, 1, 2
"""What a point's value is: an upper bound from an earlier round, one from float32 sums, or exact."""


@dataclass
class Facility:
    """A growing choice of points, and how alike every point is to the one most like it among them.

    A point's value is `weight` times what its choice adds to the sum of those similarities over all points, plus its
    `worth`. It never grows, so a value from an earlier round is an upper bound, and a point whose bound is below
    another's value need not be looked at.
    """

    pairs: Pairs
    worth: np.ndarray
    """`[points]`, float64."""
    weight: float = 1.0
    latest: bool = False
    """Of equal values the last point's counts as greater, and not the first's."""
    first: np.ndarray | None = None
    """What each point adds to an empty choice, where that is known."""
    order: list[int] = field(default_factory=list)
    reached: np.ndarray = field(init=False)
    """`[points]`, float32: how alike each point is to a chosen one."""
    values: np.ndarray = field(init=False)
    """`[points]`, float64; minus infinity for the chosen."""
    known: np.ndarray = field(init=False)
    """`[points]`: `BEFORE`, `ROUGH` or `EXACT`."""

    def __post_init__(self) -> None:
        import numpy as np

        rows = len(self.pairs)
        self.reached = np.zeros(rows, dtype=np.float32)
        self.values = np.full(rows, np.inf)
        self.known = np.full(rows, BEFORE, dtype=np.int8)
        if self.first is not None:
            self.values = self.weight * self.first + self.worth
            self.known[:] = EXACT

    def choose(self, more: int) -> list[float]:
        """Adds so many points to the choice, each time one of the greatest value; gives these values."""
        return [self.take(self.best()) for _ in range(more)]

    def take(self, point: int) -> float:
        """Adds one point to the choice and gives its value."""
        import numpy as np

        row, value = self.pairs.row(point), float(self.values[point])
        if self.order:
            self.reached = np.maximum(self.reached, row)
        else:
            # What a point adds to an empty choice is no bound where similarities are negative.
            self.reached, self.values[:] = row, np.inf
        self.values[point], self.known[:] = -np.inf, BEFORE
        self.order.append(point)
        return value

    def best(self) -> int:
        """A point of the greatest value."""
        at_once = AT_FIRST
        while self.known[point := self._foremost()] != EXACT:
            self._look(point, at_once)
            at_once = min(2 * at_once, AT_MOST)
        return point

    def _foremost(self) -> int:
        if not self.latest:
            return int(self.values.argmax())
        return len(self.values) - 1 - int(self.values[::-1].argmax())

    def _look(self, point: int, at_once: int) -> None:
        """Makes the values of the foremost points that are known no better than this one's better known."""
        import numpy as np

        quick = self.pairs.held or self.pairs.fine
        rough = self.known[point] == BEFORE and not quick
        if rough and np.isinf(self.values[point]):
            self._survey()
            return
        which = self._front(self.known[point], at_once if rough or quick else CONFIRMED)
        gains = self._bounds(which) if rough else self._gains(which)
        self.values[which] = self.weight * gains + self.worth[which]
        self.known[which] = ROUGH if rough else EXACT

    def _front(self, known: int, at_most: int) -> np.ndarray:
        import numpy as np

        alike = np.flatnonzero((self.known == known) & (self.values > -np.inf))
        if len(alike) <= at_most:
            return alike
        return alike[np.argpartition(-self.values[alike], at_most)[:at_most]]

    def _gains(self, which: np.ndarray) -> np.ndarray:
        import numpy as np

        gains = np.zeros(len(which))
        for columns, alike in self.pairs.rows(which):
            alike -= self.reached[columns]
            gains += np.maximum(alike, 0, out=alike).sum(axis=1, dtype=np.float64)
        return gains

    def _bounds(self, which: np.ndarray) -> np.ndarray:
        """At least the gains: float32 sums, and what they can lack."""
        import numpy as np

        gains = np.zeros(len(which))
        for columns, alike in self.pairs.roughly(which):
            alike -= self.reached[columns]
            gains += np.maximum(alike, 0, out=alike).sum(axis=1)
        return self._above(gains, 32)

    def _survey(self) -> None:
        """Makes the values of all points roughly known; a pair and its mirror image are one product."""
        import numpy as np

        gains, rows = np.zeros(len(self.pairs)), len(self.pairs)
        for start in range(0, rows, BLOCK):
            for on in range(start, rows, BLOCK):
                these, those = slice(start, start + BLOCK), slice(on, on + BLOCK)
                alike = self.pairs.nearly(these, those)
                if on > start:
                    gains[those] += np.maximum(alike - self.reached[these, None], 0).sum(axis=0)
                alike -= self.reached[those]
                gains[these] += np.maximum(alike, 0, out=alike).sum(axis=1)
        new = self.values > -np.inf
        self.values[new] = (self.weight * self._above(gains, 2 * BLOCK) + self.worth)[new]
        self.known[new] = ROUGH

    def _above(self, gains: np.ndarray, terms: int) -> np.ndarray:
        """At least the gains of which these are float32 sums of blocks of so many terms."""
        import numpy as np

        rounding = float(np.finfo(np.float32).eps)
        each = 4 * rounding * np.sqrt(self.pairs.points.shape[1])
        return gains * (1 + terms * rounding) + len(self.pairs) * each
