"""The best rows of every cluster, as many as InstructionGPT-4 takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...compiler.op import Answers, Picked, Select
from ...compiler.values import Amount, Expression
from ...errors import DataError
from .amounts import no_row
from .ranking import groups_of, how_many_places

if TYPE_CHECKING:
    import polars as pl


class ClusterQuota(Select):
    """The best rows by a number, each cluster having places in proportion to its size and at least one.

    Wei et al., 2023 (arXiv 2308.12067): 2 % more places than rows wanted are shared out, rounded down in
    each cluster and at least one; of the rows that get a place the best go on. Where rounding leaves fewer
    than are wanted, the best of the others fill up. The result is in order, the best first; ties go to the
    earlier row.

    `faithful = true` differs as the authors' script does: numbers are cut to whole ones before they are
    compared, ties are in the order of the clusters, nothing fills up, and the result is in the order of the
    input.
    """

    verb = "diversify"
    noun = "cluster_quota"
    positional = ("keep",)
    takes = (("by", "number"),)
    paper = "https://arxiv.org/abs/2308.12067"
    example = """
        load "examples/tasks.jsonl"
        | score length
        | diversify cluster_quota(12) by length per topic
    """

    keep: Amount
    """How many, or which part of the rows."""
    by: Expression
    """The number that orders the rows; its scorer says which end is the best."""
    per: str
    """The column of clusters."""
    faithful: bool = False
    """Places and order as in the authors' script."""

    def reads(self) -> frozenset[str]:
        return super().reads() | {self.per}

    def pick(self, known: Answers) -> Picked:
        import polars as pl

        wanted = self.keep.of(known.rows.height)
        standing = self._standing(known, wanted)
        queue = standing.drop_nulls(["cluster", "worth"]).sort("worth", "turn", descending=[True, False])
        placed = pl.col("place") <= pl.col("places")
        offered, others = queue.filter(placed), queue.filter(~placed)
        filling = others.head(0 if self.faithful else max(0, wanted - len(offered)))
        chosen = pl.concat([offered.head(wanted), filling]).sort("worth", "turn", descending=[True, False])
        taken = chosen["row"].cast(pl.UInt32)
        order = taken.sort() if self.faithful else taken
        quota = standing.group_by("cluster", maintain_order=True).agg(pl.col("size", "places").first())
        notes = {"kept": len(order), "of": known.rows.height, "quotas": quota.to_dicts()}
        return Picked(order, _reasons(standing, taken), {"place": standing["place"]}, notes)

    def _standing(self, known: Answers, wanted: int) -> pl.DataFrame:
        """Of every row its cluster with `size` and `places`, its `worth`, and its `place` in the cluster."""
        import polars as pl

        worth = known.evaluate(self.by).cast(pl.Float64).fill_nan(None)
        worth = worth if self.by.better == "high" else -worth
        rows = pl.DataFrame({"cluster": groups_of(known, self.per, None).per, "worth": worth}).with_row_index(
            "row"
        )
        counted = (pl.len().cast(pl.Int64).alias("size"), pl.col("worth").count().alias("worthy"))
        clusters = rows.drop_nulls("cluster").group_by("cluster", maintain_order=True).agg(counted)
        if not wanted or clusters["worthy"].sum() == 0:
            raise self._nothing(wanted, known.rows.height)
        share = wanted * 51 // 50 * pl.col("size") // rows.height
        clusters = clusters.with_columns(pl.max_horizontal(share, 1).alias("places"))
        rows = rows.join(clusters.with_row_index("first"), "cluster", how="left", maintain_order="left")
        best = pl.col("worth").truncate() if self.faithful else pl.col("worth")
        turn = pl.struct("first", "row") if self.faithful else pl.struct("row")
        place = best.rank("ordinal", descending=True).over("cluster")
        rows = rows.with_columns(best.alias("worth"), turn.alias("turn"))
        return rows.with_columns(pl.when(pl.col("cluster").is_not_null()).then(place).alias("place"))

    def _nothing(self, wanted: int, rows: int) -> DataError:
        if not wanted:
            return no_row(self.keep, rows)
        return DataError(
            "E524",
            f"none of the {rows:,} rows has a number for `{self.by.text}` and a cluster in `{self.per}`",
            help="order by another column, or look at why one of the two is null everywhere",
        )


def _reasons(standing: pl.DataFrame, taken: pl.Series) -> pl.Series:
    import polars as pl

    waiting = pl.format(
        "rank {} in cluster {}, which had {}", "place", pl.col("cluster").cast(pl.String), how_many_places()
    )
    worse = pl.format("place {} of its cluster, but worse than the {} chosen", "place", pl.lit(len(taken)))
    why = pl.when(pl.col("cluster").is_null()).then(pl.lit("in no cluster"))
    why = why.when(pl.col("worth").is_null()).then(pl.lit("no number to order by"))
    why = why.when(pl.col("place") > pl.col("places")).then(waiting).otherwise(worse)
    gone = ~pl.col("row").is_in(taken.implode())
    return standing.select(pl.when(gone).then(why).alias("reason"))["reason"]
