"""Rows that cover all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ...compiler.op import Answers, Cover, Picked, Request
from ...compiler.values import Amount, Expression
from ..embed.placing import PlacingBy
from ..embed.vectors import Points, closed_vectors_of
from .amounts import no_row, too_many
from .diverseevol import as_published, drawn_as_published, whitened, whitened_as_published
from .farthest import Covered, farthest_first

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

WINDOW = 512
"""The `model_max_length` of DiverseEvol's script."""


class Kcenter(PlacingBy, Cover):
    """Rows such that no other row is far from all of them: greedy k-center on the rows' vectors.

    Each next row is the one farthest (euclidean) from all chosen so far, ties to the earlier row; this is
    at most twice the best possible radius. `mods`: from one random row, result in the order of choice (Du
    et al., 2023, arXiv 2311.15653, step 2). `diverseevol`: from 100 random rows, result in the order of the
    input (Wu et al., 2023, arXiv 2311.08182, eq. 1). Rows without a vector are never chosen.

    `faithful`: with `diverseevol`, as its script draws the first rows, writes whole rows out and rounds distances;
    the default differs in that rows have no end token and that near copies of chosen rows are near.
    """

    noun = "kcenter"
    positional = ("keep",)
    takes = (("chosen", "bool"),)
    random = True
    paper = "https://arxiv.org/abs/2311.15653"
    default_model = "minilm"
    example = 'load "examples/tasks.jsonl" | diversify kcenter(10) using nano'

    keep: Amount
    """How many rows, or which part of them, those to start from included."""
    start: Literal["random", "first", "mean"] = "random"
    """The first row: drawn, the first that has a vector, or the one nearest to the mean vector."""
    initial: int | None = Field(None, ge=1)
    """How many rows are drawn to start from; 1, or 100 for `diverseevol`."""
    chosen: Expression | None = None
    """True for rows chosen already: they stay, the others have to be far from them, and `keep` counts new
    ones."""
    variant: Literal["mods", "diverseevol"] = "mods"
    """Whose start and order of the result."""
    faithful: bool = False
    """With `diverseevol`: the rows that its script draws with the same seed, of whole rows the vectors over 512
    tokens with `</s>` at the end, and distances as it rounds them, so that near copies of chosen rows, whose
    distance comes out as the root of a negative number, are chosen first."""
    whiten: int | None = Field(None, ge=1)
    """Distances are those of so many principal components at equal variance and length 1, an option of
    DiverseEvol's script; of the vectors themselves where not given."""
    seed: int = 0

    @property
    def _published(self) -> bool:
        return self.faithful and self.variant == "diverseevol"

    def requests(self) -> dict[str, Request]:
        known = super().requests()
        if not known or self.using is None or self.using.kind == "encoder":
            return known
        if not self._published or self.of != "whole":
            return known
        return {"vector": closed_vectors_of(self.using, self.template, limit=WINDOW, pool="mean")}

    def pick(self, known: Answers) -> Picked:
        rows, placed = known.rows.height, self.placed(known)
        before = self._chosen_before(known, placed)
        more, there = self.keep.of(rows), len(placed) - len(before)
        if not more:
            raise no_row(self.keep, rows)
        if more > there:
            raise too_many(f"kcenter({self.keep})", more, there)
        if self.whiten is not None:
            whiten = whitened_as_published if self._published else whitened
            placed = Points(whiten(placed.vectors, self.whiten), placed.rows)
        start = before or self._start(placed)[:more]
        greedy = as_published if self._published else farthest_first
        covered = greedy(placed.vectors, start, len(before) + more - len(start))
        return self._picked(covered, placed, rows)

    def _chosen_before(self, known: Answers, placed: Points) -> list[int]:
        if self.chosen is None:
            return []
        marked = known.evaluate(self.chosen).fill_null(False).to_numpy()
        return [i for i, row in enumerate(placed.rows.tolist()) if marked[row]]

    def _start(self, placed: Points) -> list[int]:
        import numpy as np

        if self.start == "first":
            return [0]
        if self.start == "mean":
            away = placed.vectors - placed.vectors.mean(axis=0, dtype=np.float64)
            return [int((away**2).sum(axis=1).argmin())]
        count = min(self.initial or (100 if self.variant == "diverseevol" else 1), len(placed))
        if self._published:
            return drawn_as_published(len(placed), count, self.seed)
        # The legacy generator draws the row that MoDS draws with the same seed; with replacement, as there.
        drawn = np.random.RandomState(self.seed).choice(len(placed), count, replace=count == 1)
        return [int(i) for i in drawn]

    def _picked(self, covered: Covered, placed: Points, rows: int) -> Picked:
        import numpy as np
        import polars as pl

        order = pl.Series(placed.rows[covered.order], dtype=pl.UInt32)
        away = np.full(rows, np.nan, dtype=np.float32)
        away[placed.rows] = covered.nearest
        taken = np.zeros(rows, dtype=bool)
        taken[order.to_numpy()] = True
        distance = pl.Series("distance", away).fill_nan(None)
        radius = float(covered.nearest.max())
        notes = {"kept": len(order), "of": rows, "radius": radius}
        order = order.sort() if self.variant == "diverseevol" else order
        return Picked(order, _reasons(distance, taken, radius), {"distance": distance}, notes)


def _reasons(distance: pl.Series, taken: np.ndarray, radius: float) -> pl.Series:
    import polars as pl

    limit = f"{radius:.4f}"
    covered = pl.format(f"{{}} from the nearest chosen row; none is farther than {limit}", distance.round(4))
    why = pl.when(distance.is_null()).then(pl.lit("no vector")).otherwise(covered)
    return pl.select(pl.when(~pl.Series(taken)).then(why).alias("reason")).to_series()
