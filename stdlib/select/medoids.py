"""Rows that stand in the middle of their clusters."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Cover, Picked
from ..cluster.grouping import fewer_than
from ..embed.placing import PlacingBy

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


class Medoids(PlacingBy, Cover):
    """For each of k clusters the row nearest to its centre; result in the order of the centres.

    Clusters are k-means' as scikit-learn finds them, and the nearest row is the one of least squared distance,
    ties to the earlier row: how Nuggets draws its anchors (Li et al., 2023, arXiv 2312.10302). A row that is the
    nearest to two centres is taken once. Rows without a vector are never taken.
    """

    noun = "medoids"
    positional = ("k",)
    random = True
    paper = "https://arxiv.org/abs/2312.10302"
    default_model = "minilm"
    example = 'load "examples/tasks.jsonl" | diversify medoids(5) using nano'

    k: int = Field(ge=1)
    """How many clusters."""
    n_init: int = Field(1, ge=1)
    """How many starts of k-means are tried."""
    seed: int = 0

    def pick(self, known: Answers) -> Picked:
        import polars as pl

        rows, placed = known.rows.height, self.placed(known)
        if len(placed) < self.k:
            raise fewer_than(self.k, self.noun, len(placed), rows)
        centres = self.centres(placed.vectors)
        nearest = dict.fromkeys(nearest_to(centres, placed.vectors))
        order = pl.Series(placed.rows[list(nearest)], dtype=pl.UInt32)
        return Picked(order, _reasons(order, placed.among(rows)), notes={"kept": len(order), "of": rows})

    def centres(self, vectors: np.ndarray) -> np.ndarray:
        """`[k, dimensions]`."""
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = KMeans(self.k, n_init=self.n_init, random_state=self.seed).fit(vectors)  # type: ignore[arg-type]
        return found.cluster_centers_


def nearest_to(centres: np.ndarray, vectors: np.ndarray) -> list[int]:
    """For each centre the nearest vector."""
    return [int(((vectors - centre) ** 2).sum(axis=1).argmin()) for centre in centres]


def _reasons(order: pl.Series, vector: np.ndarray) -> pl.Series:
    import polars as pl

    taken = pl.col("row").is_in(order.implode())
    why = (
        pl.when(pl.col("vector"))
        .then(pl.lit("another row is nearer to its centre"))
        .otherwise(pl.lit("no vector"))
    )
    rows = pl.DataFrame({"vector": vector}).with_row_index("row")
    return rows.select(pl.when(~taken).then(why).alias("reason"))["reason"]
