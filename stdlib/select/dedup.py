"""Rows that are exactly alike."""

from __future__ import annotations

from ...compiler.op import Answers, Dedup, Picked
from ...compiler.values import Expression


class Exact(Dedup):
    """The first of all rows with equal content; with `by`, of all with an equal value.

    Content is instruction, input, response, system and history; other columns do not count. Rows whose
    value is null are all kept: nothing is known to be the same.
    """

    noun = "exact"
    example = 'load "examples/tasks.jsonl" | dedup exact by lower(response)'

    by: Expression | None = None
    """What has to be equal; the row's content where not given."""

    def pick(self, known: Answers) -> Picked:
        import polars as pl

        value = known.rows["@key"] if self.by is None else known.evaluate(self.by)
        seen = pl.DataFrame({"value": value, "id": known.column("id")}).with_row_index("row")
        earliest = pl.col("row").first().over("value")
        first = pl.when(pl.col("value").is_null()).then("row").otherwise(earliest)
        seen = seen.with_columns(first.alias("first"))
        again = pl.col("row") != pl.col("first")
        same = pl.format(f"{self._what()} as row {{}}, which comes first", pl.col("id").gather("first"))
        told = seen.select(pl.when(again).then(same).alias("reason"))["reason"]
        order = seen.filter(~again)["row"].cast(pl.UInt32)
        return Picked(order, told, notes={"kept": len(order), "of": len(seen)})

    def _what(self) -> str:
        return "the same content" if self.by is None else f"the same `{self.by.text}`"
