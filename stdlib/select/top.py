"""The best and the worst rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...compiler.op import Answers, Better, Picked, Select
from ...compiler.values import Amount, Expression
from ...errors import DataError
from .ranking import Ranking, groups_of, how_many_places, rank, thousands, where

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


class Ends(Select):
    """Rows from one end of an order; ties go to the earlier row where not said, rows without a number go."""

    positional = ("keep",)
    takes = (("by", "number"),)

    keep: Amount
    """How many, or which part of the rows; of each group with `per`."""
    by: Expression
    """The number that orders the rows; its scorer says which end is the best."""
    per: str | None = None
    """A column: so many of each of its values."""
    spread: str | None = None
    """A column of labels over which the places are shared out in proportion to the rows of each."""
    later_first: bool = False
    """Of rows with equal numbers the later comes first, as in the scripts of SelectIT and of Cherry."""

    def reads(self) -> frozenset[str]:
        return super().reads() | {c for c in (self.per, self.spread) if c}

    def take(self, known: Answers, first: Better) -> Picked:
        """The rows from the end that is named first."""
        scores = known.evaluate(self.by)
        queue = best_first(scores, first, later=self.later_first)
        if len(queue) == 0 and len(scores):
            raise self._nothing_scored(len(scores))
        groups = groups_of(known, self.per, self.spread)
        ranking = rank(queue, len(scores), self.keep, groups)
        order = ranking.taken
        notes = {**ranking.notes(), "scored": len(queue), "threshold": _last(scores, order)}
        reasons = ranking.reasons(_behind(ranking), f"no `{self.by.text}` score")
        return Picked(order, reasons, ranking.marks(), notes)

    def _nothing_scored(self, rows: int) -> DataError:
        return DataError(
            "E524",
            f"none of the {rows:,} rows has a number for `{self.by.text}`",
            help=f"order by another column, or look at why `{self.by.text}` is null everywhere",
        )


class Top(Ends):
    """The best rows by a number; ties go to the earlier row, the result is in order, the best first.

    Scores that are null or NaN are never chosen. `top 1000` of 300 rows keeps the 300. Behind `diversify
    kmeans(k)` every cluster gets places in proportion to its size, by largest remainder.
    """

    verb = "top"
    noun = ""
    example = 'load "examples/tasks.jsonl" | score length | top 10% by length'

    def pick(self, known: Answers) -> Picked:
        return self.take(known, self.by.better)


class Bottom(Ends):
    """The worst rows by a number; ties go to the earlier row, the result is in order, the worst first.

    The other end of what `top` chooses; scores that are null or NaN are never chosen.
    """

    verb = "bottom"
    noun = ""
    example = 'load "examples/tasks.jsonl" | score length | bottom 5 by length'

    def pick(self, known: Answers) -> Picked:
        return self.take(known, "low" if self.by.better == "high" else "high")


def best_first(scores: pl.Series, first: Better, *, later: bool = False) -> np.ndarray:
    """Positions of the rows with a number, from one end; of equal ones the earlier first, or the later."""
    import numpy as np
    import polars as pl

    numbers = scores.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    order = np.argsort((-numbers if first == "high" else numbers)[:: -1 if later else 1], kind="stable")
    if later:
        order = len(numbers) - 1 - order
    return order[: len(numbers) - np.count_nonzero(np.isnan(numbers))]


def _behind(ranking: Ranking) -> pl.Expr:
    """Why a row with a number went: its rank, and how many places there were."""
    import polars as pl

    place = where(ranking.groups)
    if place is not None:
        return pl.format("rank {} in {}, which had {}", thousands(pl.col("place")), place, how_many_places())
    ranked, kept = ranking.rows["rank"].count(), int(ranking.cells["places"].sum())
    tail = pl.lit(f" of {ranked:,}; the last kept was {kept:,}")
    return pl.format("rank {}{}", thousands(pl.col("rank")), tail)


def _last(scores: pl.Series, order: pl.Series) -> float | str | None:
    """The score of the last row taken, as JSON can hold it."""
    if len(order) == 0:
        return None
    score = scores[int(order[-1])]
    return score if math.isfinite(score) else str(score)
