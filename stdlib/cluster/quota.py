"""A column that is there already as the clusters of the next choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...compiler.op import Answers, Cluster
from ...compiler.values import Expression
from ...errors import DataError

if TYPE_CHECKING:
    import polars as pl


class Quota(Cluster):
    """The value of a column: the next choice gives each value places in proportion to its rows.

    `diversify quota(topic) | top 1000 by ifd` takes the best rows of every topic, as many as its part of all
    rows, by largest remainder; `top 10 by ifd per topic` takes equally many of each. Rows without a value
    get no place.
    """

    noun = "quota"
    positional = ("column",)
    example = 'load "examples/tasks.jsonl" | score length | diversify quota(topic) | top 10% by length'

    column: Expression
    """The column, or an expression, whose values share the places."""

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        values = known.evaluate(self.column)
        if values.dtype.is_nested():
            raise DataError(
                "E526",
                f"the column `{self.column.text}` holds {values.dtype}, and rows are grouped by single values",
                help="name a column of texts or numbers",
            )
        return values if values.dtype.is_integer() else values.cast(pl.String)
