"""Rows that stand for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Cover, Picked
from ...compiler.values import Amount, Expression
from ...errors import DataError
from ..embed.placing import Placing
from ..embed.vectors import Points
from .amounts import no_row, too_many
from .lazy import Facility as Growing
from .pairs import Pairs, cosine, nearness

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


class Facility(Placing, Cover):
    """Rows such that every row has one very much like it among them: greedy facility location.

    Each next row adds most to Σ_i max_{j in S} s(i, j), the similarity of each row to the chosen one most
    like it, summed over all rows; ties go to the earlier row, result in the order of choice. With `by` the
    rows are also good: a row is worth `alpha` times what it adds to that sum plus `1 - alpha` times its
    number (QDIT, Bukharin et al., 2023, arXiv 2311.14736); the sum grows with the number of rows, so bring
    the number to its scale. Rows without a vector, or without that number, are never chosen; the latter
    still want to be covered. Time grows with the square of the rows: half a minute for 100 of 20,000.

    `faithful`: as Superfiltering's `do_fla.py` with submodlib, where s = exp(-‖x - y‖ / d) with d dimensions
    and ties go to the later row; the default differs in that s is the cosine and ties go to the earlier one.
    """

    noun = "facility"
    positional = ("keep",)
    takes = (("by", "number"),)
    paper = "https://arxiv.org/abs/2311.14736"
    default_model = "minilm"
    example = 'load "examples/tasks.jsonl" | diversify facility(10) using nano'

    keep: Amount
    """How many rows, or which part of them."""
    by: Expression | None = None
    """A number that says how good a row is; its scorer says which end is the best."""
    alpha: float = Field(0.7, ge=0, le=1)
    """With `by`: how much covering counts, the number counting the rest."""
    faithful: bool = False
    """Similarity and ties as in Superfiltering's script."""

    def pick(self, known: Answers) -> Picked:
        import numpy as np

        rows = known.rows.height
        placed = (self.placed if self.faithful else self.directed)(known)
        worth = self._worth(known)[placed.rows]
        wanted, there = self.keep.of(rows), int(np.isfinite(worth).sum())
        if not wanted:
            raise no_row(self.keep, rows)
        if wanted > there:
            raise self._too_many(wanted, there)
        found = self._empty(placed.vectors, worth)
        gains = found.choose(wanted)
        return self._picked(found, gains, placed, rows)

    def _worth(self, known: Answers) -> np.ndarray:
        """What each row's number counts; minus infinity where it has none."""
        import numpy as np
        import polars as pl

        if self.by is None:
            return np.zeros(known.rows.height)
        number = known.evaluate(self.by).cast(pl.Float64)
        number = number if self.by.better == "high" else -number
        usable = number.is_finite().fill_null(False)
        if not usable.any():
            raise self._no_number(known.rows.height)
        return np.where(usable, (1 - self.alpha) * number.fill_null(0).to_numpy(), -np.inf)

    def _empty(self, vectors: np.ndarray, worth: np.ndarray) -> Growing:
        import numpy as np

        points = vectors.astype(np.float64)
        weight = 1.0 if self.by is None else self.alpha
        if self.faithful:
            return Growing(Pairs(points, nearness, fine=True), worth, weight, latest=True)
        # Rounded, because equal points are to add exactly as much.
        return Growing(Pairs(points, cosine), worth, weight, first=(points @ points.sum(axis=0)).round(9))

    def _picked(self, found: Growing, gains: list[float], placed: Points, rows: int) -> Picked:
        import numpy as np
        import polars as pl

        order = pl.Series(placed.rows[found.order], dtype=pl.UInt32)
        likeness = np.full(rows, np.nan, dtype=np.float32)
        likeness[placed.rows] = found.reached
        similarity = pl.Series("similarity", likeness).fill_nan(None)
        worthless = np.zeros(rows, dtype=bool)
        worthless[placed.rows] = ~np.isfinite(found.worth)
        taken = np.zeros(rows, dtype=bool)
        taken[order.to_numpy()] = True
        notes = {"kept": len(order), "of": rows, "value of the last": gains[-1]}
        reasons = self._reasons(similarity, pl.Series(taken), pl.Series(worthless))
        return Picked(order, reasons, {"similarity": similarity}, notes)

    def _reasons(self, similarity: pl.Series, taken: pl.Series, worthless: pl.Series) -> pl.Series:
        import polars as pl

        number = "" if self.by is None else self.by.text
        covered = pl.format("similarity {} to a chosen row; others added more", similarity.round(4))
        why = pl.when(similarity.is_null()).then(pl.lit("no vector"))
        why = why.when(worthless).then(pl.lit(f"no number for `{number}`")).otherwise(covered)
        return pl.select(pl.when(~taken).then(why).alias("reason")).to_series()

    def _too_many(self, wanted: int, there: int) -> DataError:
        what = "a vector" if self.by is None else f"a vector and a number for `{self.by.text}`"
        return too_many(f"facility({self.keep})", wanted, there, what)

    def _no_number(self, rows: int) -> DataError:
        text = self.by.text if self.by is not None else ""
        return DataError(
            "E524",
            f"none of the {rows:,} rows has a number for `{text}`",
            help=f"choose by another column, or look at why `{text}` is null everywhere",
        )
