"""Random rows."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Picked, Select
from ...compiler.values import Amount, Expression
from ...errors import DataError
from .ranking import Groups, Ranking, groups_of, how_many_places, rank, single_values, where

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


class Sample(Select):
    """Random rows, in the order of the input.

    Row i's number follows from the seed and i alone, and the rows with the smallest numbers are taken:
    appending rows to a file changes the sample no more than it must. `sample 1000` of 300 rows keeps the
    300.
    """

    verb = "sample"
    noun = ""
    positional = ("keep",)
    random = True
    example = 'load "examples/tasks.jsonl" | sample 20% per topic with seed = 7'

    keep: Amount
    """How many, or which part of the rows; of each group with `per`."""
    per: str | None = None
    """A column: so many of each of its values."""
    spread: str | None = None
    """A column of labels over which the places are shared out in proportion to the rows of each."""
    seed: int = 0

    def reads(self) -> frozenset[str]:
        return super().reads() | {c for c in (self.per, self.spread) if c}

    def pick(self, known: Answers) -> Picked:
        import numpy as np

        queue = np.argsort(uniform(known.rows.height, self.seed), kind="stable")
        groups = groups_of(known, self.per, self.spread)
        return in_input_order(rank(queue, known.rows.height, self.keep, groups))


class Stratified(Select):
    """Random rows with the same proportions of a column's values as all rows, by largest remainder.

    Rows without a value are a group of their own. The result is in the order of the input.
    """

    verb = "sample"
    noun = "stratified"
    positional = ("column", "keep")
    random = True
    example = 'load "examples/tasks.jsonl" | sample stratified(topic, 20%)'

    column: Expression
    """The column, or an expression, whose values are to keep their proportions."""
    keep: Amount
    """How many, or which part of the rows."""
    seed: int = 0

    def pick(self, known: Answers) -> Picked:
        import numpy as np
        import polars as pl

        queue = np.argsort(uniform(known.rows.height, self.seed), kind="stable")
        values = single_values(known.evaluate(self.column), self.column.text)
        groups = Groups(spread=values.cast(pl.String).fill_null("null"), word=self.column.text)
        ranking = rank(queue, known.rows.height, self.keep, groups)
        self._tell_of_values_without_places(ranking.cells["places"])
        return in_input_order(ranking)

    def _tell_of_values_without_places(self, places: pl.Series) -> None:
        if len(places) <= (kept := places.sum()):
            return
        values = f"`{self.column.text}` has {len(places):,} values"
        told = f"{values} and {kept:,} rows are drawn, so {(places == 0).sum():,} of them have none"
        warnings.warn(told, UserWarning, stacklevel=3)


class Weighted(Select):
    """Random rows without replacement, each drawn with a chance in proportion to a weight.

    Row i's key is E_i / weight with E_i exponential, and the smallest keys are taken (Efraimidis and
    Spirakis, 2006): the same as drawing one row after the other. A weight of 0 is never drawn, nor is null
    or NaN; a negative one is an error. The result is in the order of the input.

    With `temperature` the chance is in proportion to exp(weight / temperature), as QuRating draws (Wettig et
    al., 2024, arXiv 2402.09739): the higher it is, the more the sample is like a plain one. The weight is
    then any number, such as a score.
    """

    verb = "sample"
    noun = "weighted"
    positional = ("weight", "keep")
    takes = (("weight", "number"),)
    random = True
    paper = "https://doi.org/10.1016/j.ipl.2005.11.003"
    example = 'load "examples/tasks.jsonl" | score length | sample weighted(length, 5)'

    weight: Expression
    """The number to which a row's chance is proportional."""
    keep: Amount
    """How many, or which part of the rows."""
    temperature: float | None = Field(None, gt=0)
    """Draw by exp(weight / temperature) and not by the weight itself."""
    per: str | None = None
    """A column: so many of each of its values."""
    seed: int = 0

    def reads(self) -> frozenset[str]:
        return super().reads() | {c for c in (self.per,) if c}

    def pick(self, known: Answers) -> Picked:
        import numpy as np
        import polars as pl

        weights = known.evaluate(self.weight).cast(pl.Float64).fill_null(float("nan")).to_numpy()
        if self.temperature is None and (weights < 0).any():
            raise self._negative(known, int(np.argmax(weights < 0)))
        drawable = np.flatnonzero(weights > 0 if self.temperature is None else ~np.isnan(weights))
        if len(drawable) == 0 and len(weights):
            raise self._nothing_to_draw(len(weights))
        draws = -np.log1p(-uniform(len(weights), self.seed)[drawable])
        queue = drawable[np.argsort(self._keys(draws, weights[drawable]), kind="stable")]
        groups = groups_of(known, self.per, None)
        return in_input_order(rank(queue, len(weights), self.keep, groups), f"no weight: {self._lack}")

    def _keys(self, draws: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """What the rows are ordered by; with a temperature the logarithm of it, which no score overflows."""
        import numpy as np

        if self.temperature is None:
            return draws / weights
        return np.log(np.maximum(draws, np.finfo(np.float64).tiny)) - weights / self.temperature

    @property
    def _lack(self) -> str:
        lack = "not above 0" if self.temperature is None else "not a number"
        return f"`{self.weight.text}` is {lack}"

    def _negative(self, known: Answers, row: int) -> DataError:
        value = known.evaluate(self.weight)[row]
        return DataError(
            "E525",
            f"the weight `{self.weight.text}` is {value} in row {row + 1}, and a chance cannot be negative",
            help=f"draw by an expression that is never negative, or by scores: `sample weighted("
            f"{self.weight.text}, {self.keep}, temperature = 1)`",
        )

    def _nothing_to_draw(self, rows: int) -> DataError:
        return DataError(
            "E524",
            f"none of the {rows:,} rows has a weight: {self._lack}",
            help="draw by another column, or without weights: `sample` and an amount",
        )


def uniform(rows: int, seed: int) -> np.ndarray:
    """One number in [0, 1) a row; row i's follows from the seed and i alone."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(seed)).random(rows)


def in_input_order(ranking: Ranking, missing: str = "not drawn") -> Picked:
    """The rows drawn, as the input has them."""
    return Picked(ranking.taken.sort(), ranking.reasons(_not_drawn(ranking), missing), notes=ranking.notes())


def _not_drawn(ranking: Ranking) -> pl.Expr:
    import polars as pl

    place = where(ranking.groups)
    if place is not None:
        return pl.format("not drawn; {} had {}", place, how_many_places())
    kept = int(ranking.cells["places"].sum())
    return pl.lit(f"not drawn; {kept:,} of {ranking.rows.height:,} rows were")
