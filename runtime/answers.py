"""What an operation is given when it runs: its rows, and the answers to its requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from ..compiler.expression import physical, to_polars
from ..compiler.op import Op
from ..compiler.values import Expression


@dataclass
class KnownAnswers:
    """The contract's `Answers` over a frame; answers are read when first asked for."""

    rows: pl.DataFrame
    seed: int
    read: Callable[[str], pl.Series]

    def __getitem__(self, request: str) -> pl.Series:
        return self.read(request)

    def column(self, name: str) -> pl.Series:
        return self.rows[physical(name)]

    def evaluate(self, expression: Expression) -> pl.Series:
        name = expression.name
        if name is not None:
            return self.column(name)
        return self.rows.select(to_polars(expression.tree).alias("value"))["value"]


def seed_of(op: Op) -> int:
    """The seed of a random operation; 0 where it has none."""
    return int(getattr(op, "seed", 0))
