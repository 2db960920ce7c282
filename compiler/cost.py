"""What the tasks of a plan will take: rows, tokens, seconds and dollars, as far as they are known beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from .core import Algebra, Filter, Join, Without
from .graph import Node
from .op import Dedup, Select
from .values import Count, Share


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows there are at a point of a plan."""

    count: int
    exact: bool = True
    """`False`: at most so many; how many it will be shows only when the run is there."""

    def __str__(self) -> str:
        return f"{self.count:,} rows" if self.exact else f"at most {self.count:,} rows"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one task will take."""

    rows: Rows | None = None
    """Rows that the task leaves, or that a sweep looks at."""
    todo: int | None = None
    """Of a sweep or a fit: rows that the store lacks."""
    tokens: int | None = None
    seconds: float | None = None
    dollars: float = 0.0
    note: str = ""


def rows_after(node: Node, before: Rows, other: Rows | None = None) -> Rows:
    """How many rows a step leaves, as far as its parameters say; `other` are those that it is combined with."""
    op = node.op
    if isinstance(op, Algebra):
        added = other.count if other and op.operator == "+" else 0
        return Rows(before.count + added, False)
    amount = getattr(op, "keep", None) or getattr(op, "amount", None)
    if isinstance(op, Select) and not isinstance(op, Dedup) and isinstance(amount, Share | Count):
        if getattr(op, "per", None):
            return Rows(before.count, False)
        return Rows(min(amount.of(before.count), before.count), before.exact)
    if isinstance(op, Filter | Select | Without | Join):
        return Rows(before.count, False)
    return before


def total(estimates: list[Estimate]) -> Estimate:
    """All tasks together; a sum with an unknown part is unknown."""
    asked = [e for e in estimates if e.todo is not None]
    tokens = [e.tokens for e in asked if e.todo]
    seconds = [e.seconds for e in asked if e.todo]
    return Estimate(
        todo=sum(e.todo or 0 for e in asked),
        tokens=None if None in tokens else sum(t or 0 for t in tokens),
        seconds=None if None in seconds else sum(s or 0 for s in seconds),
        dollars=sum(e.dollars for e in estimates),
    )
