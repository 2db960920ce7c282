"""What an operation is given when it runs: its rows, and the answers to its requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import polars as pl

from ..compiler.expression import physical, to_polars
from ..compiler.op import Op
from ..compiler.values import Data, Expression


def _none_given(data: Data) -> pl.DataFrame:
    raise KeyError(f"the dataset `{data.label}` is not at hand")


@dataclass
class KnownAnswers:
    """The contract's `Answers` over a frame; answers are read when first asked for."""

    rows: pl.DataFrame
    seed: int
    read: Callable[[str], pl.Series]
    other: Callable[[Data], pl.DataFrame] = _none_given
    elsewhere: frozenset[str] = frozenset()
    """The requests whose answers are about another dataset."""

    def __getitem__(self, request: str) -> pl.Series:
        return self.read(request)

    def dataset(self, data: Data) -> pl.DataFrame:
        return self.other(data)

    def column(self, name: str) -> pl.Series:
        return self.rows[physical(name)]

    def part(self, start: int, stop: int) -> KnownAnswers:
        """The same for the rows from `start` to before `stop`."""

        def read(name: str) -> pl.Series:
            return self.read(name) if name in self.elsewhere else self.read(name)[start:stop]

        return replace(self, rows=self.rows[start:stop], read=read)

    def evaluate(self, expression: Expression) -> pl.Series:
        return evaluated(self.rows, expression)


def evaluated(rows: pl.DataFrame, expression: Expression) -> pl.Series:
    """The expression's value for every row. NaN is no number: it counts as null going in and coming out."""
    known = rows.with_columns(_number(rows[physical(name)]) for name in expression.columns)
    values = known.select(to_polars(expression.tree)).to_series().alias(expression.text)
    if len(values) != rows.height:
        values = values.new_from_index(0, rows.height)
    return values.fill_nan(None) if values.dtype.is_float() else values


def _number(column: pl.Series) -> pl.Series:
    """The column as arithmetic expects it: no NaN, and counts that may fall below 0."""
    if column.dtype.is_float():
        return column.fill_nan(None)
    if column.dtype == pl.UInt64:
        return column.cast(pl.Float64)
    return column.cast(pl.Int64) if column.dtype.is_integer() else column


def seed_of(op: Op) -> int:
    """The seed of a random operation; 0 where it has none."""
    return int(getattr(op, "seed", 0))
