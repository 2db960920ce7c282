"""What an operation is given when it runs: its rows, and the answers to its requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import polars as pl

from ..compiler.expression import operands, physical, to_polars
from ..compiler.op import Op
from ..compiler.values import Data, Expression
from ..errors import DataError
from .formats.layout import JSON


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
    """The expression's value for every row. NaN is no number: it counts as null going in and coming out.

    Raises DataError E527 where the columns hold something that it cannot be computed of.
    """
    known = rows.with_columns(_plain(rows[physical(name)]) for name in expression.columns)
    taken = known.with_columns(_written(known[physical(name)]) for name in operands(expression.tree))
    if nested := [name for name in operands(expression.tree) if taken.schema[physical(name)] in OPAQUE]:
        raise _not_computed(rows, expression, f"nothing is computed of what `{min(nested)}` holds")
    try:
        values = taken.select(to_polars(expression.tree)).to_series().alias(expression.text)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _not_computed(rows, expression, str(error).strip().splitlines()[0]) from error
    if len(values) != rows.height:
        values = values.new_from_index(0, rows.height)
    return values.fill_nan(None) if values.dtype.is_float() else values


def fulfilled(rows: pl.DataFrame, condition: Expression) -> pl.Series:
    """Whether the condition is true of every row; null where it cannot be told. Raises DataError E527."""
    values = evaluated(rows, condition)
    if values.null_count() == len(values):
        return pl.Series(condition.text, [None] * len(values), dtype=pl.Boolean)
    if values.dtype != pl.Boolean:
        raise _not_computed(rows, condition, "it is no condition: neither true nor false")
    return values


OPAQUE = (pl.Struct, pl.Binary, pl.Duration, pl.Object)
"""What a column may hold that no operator and no function takes."""


def _plain(column: pl.Series) -> pl.Series:
    """The column as expressions take it: no NaN, counts that may fall below 0, categories as texts."""
    if column.dtype.is_float():
        return column.fill_nan(None)
    if column.dtype == pl.UInt64 or column.dtype.is_decimal():
        return column.cast(pl.Float64)
    if column.dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    return column.cast(pl.Int64) if column.dtype.is_integer() else column


def _written(column: pl.Series) -> pl.Series:
    """Dates and times as the texts that they are in JSON."""
    return column.cast(pl.String) if column.dtype in (pl.Date, pl.Datetime, pl.Time) else column


def _not_computed(rows: pl.DataFrame, expression: Expression, reason: str) -> DataError:
    held = [f"`{name}` holds {_held(rows.schema[physical(name)])}" for name in sorted(expression.columns)]
    return DataError(
        "E527",
        f"`{expression.text}` cannot be computed",
        notes=[*held, reason],
        help="name columns of numbers, texts or conditions, as the expression takes them",
    )


def _held(dtype: pl.DataType) -> str:
    return "values of several kinds" if dtype == JSON else str(dtype)


def seed_of(op: Op) -> int:
    """The seed of a random operation; 0 where it has none."""
    return int(getattr(op, "seed", 0))
