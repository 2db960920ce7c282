"""Rows chosen by several targets in turn, each taking the row that is most like it of those left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

TARGETS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Turns:
    """The rows in the order of choice, which target chose each, and how like it the row is."""

    order: list[int] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    similarity: list[float] = field(default_factory=list)

    def add(self, row: int, target: int, similarity: float) -> None:
        self.order.append(row)
        self.target.append(target)
        self.similarity.append(similarity)


@dataclass(slots=True)
class Wish:
    """The rows that a target likes best, the best first, as far down as anyone has looked."""

    rows: np.ndarray
    similarities: np.ndarray
    at: int = 0

    def next(self, taken: np.ndarray) -> int | None:
        """The best row that nobody has taken; none where the list has no more."""
        while self.at < len(self.rows):
            if not taken[self.rows[self.at]]:
                return self.at
            self.at += 1
        return None


def in_turns(rows: np.ndarray, targets: np.ndarray, wanted: int) -> Turns:
    """So many rows, the targets choosing one after the other; of equally similar rows the earlier one.

    Both are unit vectors. Only the top of each target's list is kept, and looked for again, twice as deep, when
    it is used up: memory grows with the rows wanted and not with rows times targets.
    """
    import numpy as np

    wanted, depth = min(wanted, len(rows)), 4 * -(-wanted // max(len(targets), 1)) + 16
    wishes = list(best_rows(rows, targets, depth))
    taken = np.zeros(len(rows), dtype=bool)
    found = Turns()
    while len(found.order) < wanted:
        turn = len(found.order) % len(targets)
        while (place := wishes[turn].next(taken)) is None:
            deeper = 2 * len(wishes[turn].rows)
            wishes[turn] = next(best_rows(rows, targets[turn : turn + 1], deeper))
        row = int(wishes[turn].rows[place])
        taken[row] = True
        found.add(row, turn, float(wishes[turn].similarities[place]))
    return found


def in_passes(rows: np.ndarray, targets: np.ndarray, wanted: int) -> Turns:
    """So many rows: in its n-th turn a target takes the row that is n-th on its list, or none where that is taken."""
    import numpy as np

    wanted = min(wanted, len(rows))
    wishes = list(best_rows(rows, targets, wanted))
    taken = np.zeros(len(rows), dtype=bool)
    found = Turns()
    for place, turn in product(range(wanted), range(len(wishes))):
        if len(found.order) == wanted:
            break
        row = int(wishes[turn].rows[place])
        if not taken[row]:
            taken[row] = True
            found.add(row, turn, float(wishes[turn].similarities[place]))
    return found


def best_rows(rows: np.ndarray, targets: np.ndarray, depth: int) -> Iterator[Wish]:
    """For each target the most similar rows, the most similar first, so many at least if there are."""
    import numpy as np

    for start in range(0, len(targets), TARGETS_AT_ONCE):
        similarities = targets[start : start + TARGETS_AT_ONCE] @ rows.T
        for line in similarities:
            limit = np.partition(line, len(line) - depth)[-depth] if depth < len(line) else -np.inf
            near = np.flatnonzero(line >= limit)
            order = near[np.argsort(-line[near], kind="stable")]
            yield Wish(order, line[order])
