"""Rows with another row before them, as an earlier exchange of one conversation."""

from __future__ import annotations

import polars as pl

from .formats.keys import keys
from .formats.shapes import HISTORY


def with_shots(frame: pl.DataFrame, positions: pl.Series) -> pl.DataFrame:
    """The rows, each led by the row at its position; one without a position has no prompt to show.

    Their keys are those of rows with that content.
    """
    if len(positions) != frame.height:
        raise ValueError(f"it named {len(positions)} rows to show before {frame.height} rows")
    shot = frame.select("@prompt", "@response")[positions.fill_null(0)]
    both = pl.DataFrame({"shot": exchange(shot), "earlier": frame["@history"].cast(HISTORY)})
    earlier = pl.col("earlier").fill_null(pl.lit([], dtype=HISTORY))
    led = frame.with_columns(
        both.select(pl.concat_list("shot", earlier).alias("@history"))["@history"],
        pl.when(positions.is_not_null()).then(pl.col("@prompt")).alias("@prompt"),
    )
    return led.with_columns(keys(led).alias("@key"))


def exchange(rows: pl.DataFrame) -> pl.Series:
    """Each row as two turns of a conversation."""
    turns = (turn("user", "@prompt"), turn("assistant", "@response"))
    return rows.select(pl.concat_list(*turns).alias("said"))["said"].cast(HISTORY)


def turn(role: str, column: str) -> pl.Expr:
    return pl.struct(pl.lit(role).alias("role"), pl.col(column).alias("content"))
