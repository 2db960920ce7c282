"""How near each row is to the middle of its group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...compiler.op import Answers, Score
from ...compiler.values import Expression
from ..embed.vectors import points
from ..select.ranking import groups_of

if TYPE_CHECKING:
    import polars as pl


class Centrality(Score):
    """The euclidean distance of the row's vector from the mean of its group's; low is typical, high is not.

    With the groups of `cluster kmeans(k)`, the mean is the cluster's centre, and this is the measure by which
    Sorscher et al., 2022 (arXiv 2206.14486), section 5, tell easy rows from hard ones.
    """

    noun = "centrality"
    paper = "https://arxiv.org/abs/2206.14486"
    better = "low"
    rowwise = False
    range = "0 or more"
    missing = "rows without a vector, or in no group"
    conversations = "those of its vectors"
    example = """
        load "examples/tasks.jsonl"
        | embed using nano as place
        | cluster kmeans(4) by place as part
        | score centrality by place per part
        | top 1 by centrality per part
    """

    by: Expression
    """The column of vectors."""
    per: str | None = None
    """The column of groups; all rows are one where not given."""

    def reads(self) -> frozenset[str]:
        return super().reads() | {column for column in (self.per,) if column}

    def reduce(self, known: Answers) -> pl.Series:
        import numpy as np
        import polars as pl

        placed = points(known.evaluate(self.by))
        rows = pl.DataFrame({"row": placed.rows}).with_row_index("point")
        group = groups_of(known, self.per, None).per
        group = pl.repeat(0, known.rows.height, eager=True) if group is None else group
        rows = rows.with_columns(group.alias("group").gather(placed.rows)).drop_nulls("group")
        away = np.full(known.rows.height, np.nan)
        for members in rows.partition_by("group", maintain_order=True):
            vectors = placed.vectors[members["point"].to_numpy()].astype(np.float64)
            away[members["row"].to_numpy()] = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)
        return pl.Series(away).fill_nan(None)
