"""Bins from the centre of the data outwards, and rows of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Cover, Picked
from ...compiler.values import Amount
from ...errors import DataError
from ..embed.placing import PlacingBy
from ..embed.shortage import too_few
from ..embed.vectors import Points
from .amounts import no_row, too_many
from .graphcut import graph_cut_bins
from .quota import quotas

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

NO_BIN = 0


class Bins(PlacingBy, Cover):
    """Rows drawn from bins that lead from the centre of the data to its outliers: Dataset Quantization.

    Each of `k` bins takes greedily, from the rows that the bins before it left, the row that is most like all of
    those and least like the bin so far: gain(x | S) = Σ_p p·x - 2 Σ_{s in S} s·x (Zhou et al., 2023, arXiv 2308.10524,
    eq. 3, as the similarity of unit vectors); ties go to the earlier row. From each bin rows are drawn at random;
    result bin by bin, in the order drawn. Rows without a vector are in no bin. Time grows with the square of the rows.

    `faithful`: as the authors' script, with ⌊n / k⌋ rows in each bin, none in a bin where n is no multiple, ⌊keep / k⌋
    drawn from each, vectors of any length, and sums in float32 for up to 8,000 rows; by default bins share all rows
    out, exactly `keep` rows are drawn, vectors count at length 1, and sums are in float64.
    """

    noun = "bins"
    positional = ("k", "keep")
    random = True
    paper = "https://arxiv.org/abs/2308.10524"
    default_model = "minilm"
    example = 'load "examples/tasks.jsonl" | diversify bins(4, 12) using nano'

    k: int = Field(10, ge=1)
    """How many bins."""
    keep: Amount
    """How many rows of all bins together, or which part of the rows."""
    faithful: bool = False
    """Rounding and vectors as in the authors' script."""
    seed: int = 0

    def pick(self, known: Answers) -> Picked:
        import numpy as np

        rows, placed = known.rows.height, (self.placed if self.faithful else self.directed)(known)
        sizes, places = self._shares(len(placed), rows)
        bins = graph_cut_bins(placed.vectors, sizes, single=self.faithful)
        draw = np.random.RandomState(self.seed)
        drawn = [draw.choice(one, count, replace=False) for one, count in zip(bins, places, strict=True)]
        number = np.full(rows, NO_BIN, dtype=np.int32)
        for at, one in enumerate(bins, start=1):
            number[placed.rows[one]] = at
        return self._picked(placed.rows[np.concatenate(drawn)], number, placed, places)

    def _shares(self, placed: int, rows: int) -> tuple[list[int], list[int]]:
        """How many points each bin takes, and how many are drawn from it."""
        wanted = self.keep.of(rows)
        if placed < self.k:
            needed = f"{self._call} needs {self.k:,} rows"
            raise too_few(needed, placed, rows, advice="ask for fewer bins")
        if wanted > placed:
            raise too_many(self._call, wanted, placed)
        if not wanted:
            raise no_row(self.keep, rows)
        if self.faithful and wanted < self.k:
            raise self._no_row_of_a_bin(wanted)
        if self.faithful:
            return [placed // self.k] * self.k, [wanted // self.k] * self.k
        sizes = [(placed + self.k - 1 - at) // self.k for at in range(self.k)]
        return sizes, quotas(sizes, wanted)

    def _picked(self, order: np.ndarray, number: np.ndarray, placed: Points, places: list[int]) -> Picked:
        import numpy as np
        import polars as pl

        bins = pl.Series("bin", number)
        taken = pl.Series(np.isin(np.arange(len(number)), order))
        notes = {"kept": len(order), "of": len(number), "drawn": places}
        there = pl.Series(np.isin(np.arange(len(number)), placed.rows))
        reasons = self._reasons(bins, taken, there, np.bincount(number, minlength=self.k + 1), places)
        bins = pl.select(pl.when(bins != NO_BIN).then(bins).alias("bin")).to_series()
        return Picked(pl.Series(order, dtype=pl.UInt32), reasons, {"bin": bins}, notes)

    def _reasons(
        self, bins: pl.Series, taken: pl.Series, there: pl.Series, sizes: np.ndarray, places: list[int]
    ) -> pl.Series:
        import polars as pl

        told = [
            f"not among the {count:,} drawn of the {size:,} rows of bin {at}"
            for at, (count, size) in enumerate(zip(places, sizes[1:], strict=True), start=1)
        ]
        undrawn = pl.Series(["", *told]).gather(bins)
        why = pl.when(~there).then(pl.lit("no vector"))
        why = why.when(bins == NO_BIN).then(pl.lit("left over by bins of equal size")).otherwise(undrawn)
        return pl.select(pl.when(~taken).then(why).alias("reason")).to_series()

    @property
    def _call(self) -> str:
        return f"bins({self.k}, {self.keep})"

    def _no_row_of_a_bin(self, wanted: int) -> DataError:
        return DataError(
            "E521",
            f"{wanted:,} rows from {self.k:,} bins is no row of any of them",
            help=f"ask for {self.k:,} rows or more, or leave `faithful` out",
        )
