"""Choosing rows in an order: within groups, spread over clusters, with a reason for every row that goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...compiler.op import Answers
from ...compiler.values import Amount
from ...errors import DataError
from .quota import quotas

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

CELL = ("group", "cluster")


@dataclass(frozen=True)
class Groups:
    """The columns over which places are shared out; `None` where the recipe names none."""

    per: pl.Series | None = None
    """The amount is meant for each of its values; null is a value too."""
    spread: pl.Series | None = None
    """Places are in proportion to the rows of each of its labels; rows without a label get none."""
    word: str = "cluster"
    """What a reason calls one of the labels."""


def groups_of(known: Answers, per: str | None, spread: str | None) -> Groups:
    """The columns that the recipe names."""
    return Groups(
        single_values(known.column(per), per) if per else None,
        single_values(known.column(spread), spread) if spread else None,
    )


def single_values(column: pl.Series, name: str) -> pl.Series:
    """The column under a name. Raises DataError E526 where a row has several values."""
    if not column.dtype.is_nested():
        return column.alias(name)
    raise DataError(
        "E526",
        f"the column `{name}` holds {column.dtype}, and rows are grouped by single values",
        help="name a column of texts or numbers",
    )


@dataclass(frozen=True)
class Ranking:
    """Where every row stands."""

    rows: pl.DataFrame
    """In the order of the rows: `group` and `cluster` (0 where there is one only), `rank` (1-based, among
    all; null where the row cannot be chosen), `place` (the same within group and cluster) and `places` (how
    many of those are taken)."""
    cells: pl.DataFrame
    """Each `group` and `cluster` with its `size`, the `room` it has and its `places`."""
    groups: Groups

    @property
    def taken(self) -> pl.Series:
        """Positions of the chosen rows, the first first."""
        import polars as pl

        numbered = self.rows.select(
            pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"), "rank", self._is_taken()
        )
        return numbered.filter("taken").sort("rank")["row"]

    def reasons(self, waiting: pl.Expr, missing: str) -> pl.Series:
        """Why each row went: `waiting` where others came before it, `missing` where it could not be
        chosen."""
        import polars as pl

        unlabelled = pl.when(pl.col("cluster").is_null()).then(pl.lit("in no cluster"))
        why = unlabelled.when(pl.col("rank").is_null()).then(pl.lit(missing)).otherwise(waiting)
        return self.rows.select(pl.when(self._is_taken().not_()).then(why).alias("reason"))["reason"]

    def marks(self) -> dict[str, pl.Series]:
        """Each row's rank, and its rank in its cluster where there are clusters."""
        marks = {"rank": self.rows["rank"]}
        if self.groups.spread is not None:
            marks["cluster rank"] = self.rows["place"]
        return marks

    def notes(self) -> dict[str, Any]:
        """How many were kept of how many, and the places of every group and cluster."""
        import polars as pl

        kept = int(self.cells["places"].sum())
        notes: dict[str, Any] = {"kept": kept, "of": self.rows.height}
        if self.groups.per is not None or self.groups.spread is not None:
            plain = (
                pl.col(k) if self.cells[k].dtype.is_integer() else pl.col(k).cast(pl.String) for k in CELL
            )
            cells = self.cells.select(*plain, "size", "places").to_dicts()
            notes["quotas"] = [{k: v for k, v in cell.items() if self._names(k)} for cell in cells]
        return notes

    def _names(self, key: str) -> bool:
        absent = {"group": self.groups.per is None, "cluster": self.groups.spread is None}
        return not absent.get(key, False)

    def _is_taken(self) -> pl.Expr:
        import polars as pl

        return (pl.col("place") <= pl.col("places")).fill_null(False).alias("taken")


def rank(queue: np.ndarray, rows: int, keep: Amount, groups: Groups) -> Ranking:
    """Shares the places out over a queue: positions of the rows that can be chosen, the first to choose
    first."""
    import numpy as np
    import polars as pl

    ranks = np.zeros(rows, dtype=np.uint32)
    ranks[queue] = np.arange(1, len(queue) + 1, dtype=np.uint32)
    standing = _labelled(rows, groups).with_columns(pl.Series("rank", ranks))
    chooseable = (pl.col("rank") > 0) & pl.col("cluster").is_not_null()
    standing = standing.with_columns(pl.when(chooseable).then("rank").alias("rank"))
    place = pl.col("rank") if _whole(groups) else pl.col("rank").rank("ordinal").over(CELL)
    cells = _share_out(standing, keep)
    placed = standing.with_columns(place.cast(pl.UInt32).alias("place")).join(
        cells.select(*CELL, "places"), on=CELL, how="left", nulls_equal=True, maintain_order="left"
    )
    return Ranking(placed, cells, groups)


def thousands(number: pl.Expr) -> pl.Expr:
    """A number below a thousand million written with commas."""
    import polars as pl

    low = (number % 1000).cast(pl.String).str.zfill(3)
    middle = (number // 1000 % 1000).cast(pl.String)
    short = pl.when(number < 1000).then(number.cast(pl.String))
    long = pl.format("{},{},{}", number // 1_000_000, middle.str.zfill(3), low)
    return short.when(number < 1_000_000).then(pl.format("{},{}", middle, low)).otherwise(long)


def where(groups: Groups) -> pl.Expr | None:
    """What a reason calls the group and cluster of a row."""
    import polars as pl

    cluster, group = pl.col("cluster").cast(pl.String), pl.col("group").cast(pl.String).fill_null("null")
    labelled = pl.format("{} {}", pl.lit(groups.word), cluster)
    if groups.per is None:
        return None if groups.spread is None else labelled
    named = pl.format("{} {}", pl.lit(groups.per.name), group)
    return named if groups.spread is None else pl.format("{} of {}", labelled, named)


def how_many_places() -> pl.Expr:
    """`no place`, `1 place`, `4 places`."""
    import polars as pl

    places = pl.col("places")
    few = pl.when(places == 0).then(pl.lit("no place")).when(places == 1).then(pl.lit("1 place"))
    return few.otherwise(pl.format("{} places", thousands(places)))


def _whole(groups: Groups) -> bool:
    return groups.per is None and groups.spread is None


def _labelled(rows: int, groups: Groups) -> pl.DataFrame:
    import polars as pl

    one = pl.repeat(0, rows, dtype=pl.UInt8, eager=True)
    group = one if groups.per is None else groups.per
    cluster = one if groups.spread is None else groups.spread
    return pl.DataFrame({"group": group, "cluster": cluster})


def _share_out(standing: pl.DataFrame, keep: Amount) -> pl.DataFrame:
    """How many of each group and cluster are taken; cells in the order in which they first occur."""
    import polars as pl

    counted = (pl.len().alias("size"), pl.col("rank").count().alias("room"))
    cells = standing.group_by(CELL, maintain_order=True).agg(counted)
    totals = cells.group_by("group", maintain_order=True).agg(pl.col("size").sum())
    wanted = [keep.of(size) for size in totals["size"]]
    if not any(wanted):
        raise _no_row(keep, standing.height, totals.height)
    labelled = cells.filter(pl.col("cluster").is_not_null())
    shared = [
        part.with_columns(pl.Series("places", quotas(part["size"].to_list(), places, part["room"].to_list())))
        for part, places in zip(_by_group(labelled, totals), wanted, strict=True)
    ]
    return pl.concat(shared).with_columns(pl.col("places").cast(pl.UInt32))


def _by_group(cells: pl.DataFrame, totals: pl.DataFrame) -> list[pl.DataFrame]:
    parts = cells.partition_by("group", maintain_order=True, as_dict=True, include_key=True)
    return [parts.get((group,), cells.clear()) for group in totals["group"]]


def _no_row(keep: Amount, rows: int, groups: int) -> DataError:
    if not rows:
        return DataError(
            "E521",
            f"{keep} of no rows is no row",
            help="the steps before leave no row: let more rows through",
        )
    of = f"{rows:,} rows" if groups <= 1 else f"each of {groups:,} groups, {rows:,} rows in all,"
    return DataError(
        "E521", f"{keep} of {of} is no row", help="ask for a larger share, or for a count such as `10`"
    )
