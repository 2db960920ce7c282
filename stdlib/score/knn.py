"""Distance to a row's nearest neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ...compiler.op import Answers, Score
from ...errors import DataError
from ..embed.placing import PlacingBy
from ..embed.shortage import counted

if TYPE_CHECKING:
    import polars as pl


class Knn(PlacingBy, Score):
    """How far the row's nearest neighbours among all rows are: high is far from everything else.

    `score knn(6)` is the distance to the 6th nearest other row, the indicator KNN_6 of Instruction-Mining
    (Cao et al., 2023, arXiv 2307.06290); `score knn(5, mean)` is the mean distance to the first five, as
    OpenDataArena's KNNScorer. Every pair of rows is compared, exactly; memory grows with the rows alone.
    """

    noun = "knn"
    positional = ("k", "take")
    rowwise = False
    paper = "https://arxiv.org/abs/2307.06290"
    default_model = "minilm"
    range = "0 (k other rows are equal) and above; at most 2 between vectors of length 1"
    missing = "rows without a vector"
    conversations = (
        "last: the last prompt, or what `of` names; a language model reads everything before it too"
    )
    example = 'load "examples/tasks.jsonl" | score knn(6) using nano | top 5 by knn'

    k: int = Field(6, ge=1)
    """Which neighbour, or how many of them."""
    take: Literal["last", "mean"] = "last"
    """The distance to the k-th neighbour, or the mean of the distances to the first k."""
    metric: Literal["euclidean", "cosine"] = "euclidean"
    """`cosine` is one minus the similarity."""

    def reduce(self, known: Answers) -> pl.Series:
        import numpy as np
        import polars as pl
        from sklearn.neighbors import NearestNeighbors

        placed = self.directed(known) if self.metric == "cosine" else self.placed(known)
        if len(placed) <= self.k:
            raise _too_few(self.k, len(placed), known.rows.height)
        near = NearestNeighbors(n_neighbors=self.k, algorithm="brute").fit(placed.vectors).kneighbors()[0]
        if self.metric == "cosine":
            near = near**2 / 2
        scores = np.full(known.rows.height, np.nan)
        scores[placed.rows] = near.mean(axis=1) if self.take == "mean" else near[:, -1]
        return pl.Series(scores).fill_nan(None)


def fewer_neighbours(noun: str, rows: int) -> str:
    """What to do where so few rows have a vector."""
    if rows < 2:
        return "give at least two different rows with a vector"
    return f"ask for fewer neighbours, such as `{noun}({rows // 2})`"


def _too_few(k: int, placed: int, rows: int) -> DataError:
    return DataError(
        "E555",
        f"{k:,} neighbours of each row need {k + 1:,} rows, and there are {counted(placed, rows)}",
        help=fewer_neighbours("knn", placed),
    )
