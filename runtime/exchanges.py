"""Conversations taken apart: their first exchange, or each exchange or sentence as a row of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from .sentences import splitter
from .shown import exchanges

SHOWN = ("@instruction", "@input", "@prompt", "@response", "@system", "@history")


@dataclass(frozen=True, slots=True)
class Exchanges:
    """Exchanges as rows."""

    frame: pl.DataFrame
    row: pl.Series
    """The row that each comes from: `UInt32`."""


def first(frame: pl.DataFrame) -> pl.DataFrame:
    """Every row's first exchange, as if there were no other."""
    found = each(frame)
    return found.frame.filter(found.row.is_first_distinct())


def each(frame: pl.DataFrame) -> Exchanges:
    """Every exchange as a row without turns before it; one that nobody answers has an empty response."""
    if frame["@history"].null_count() == frame.height:
        alone = frame.with_columns(pl.lit(None, pl.String).alias("@system"))
        return Exchanges(answered(alone), pl.arange(frame.height, dtype=pl.UInt32, eager=True))
    taken = [(at, turn) for at, row in enumerate(frame.select(SHOWN).rows()) for turn in turns_of(row)]
    row = pl.Series("row", [at for at, _ in taken], dtype=pl.UInt32)
    schema = {name: frame.schema[name] for name in SHOWN}
    turns = pl.DataFrame([turn for _, turn in taken], schema=schema, orient="row")
    return Exchanges(answered(turns.hstack(frame[row].drop(SHOWN))), row)


def sentences(frame: pl.DataFrame) -> Exchanges:
    """Every sentence of the last response as the response of a row of its own. Raises ModelError E569."""
    split = splitter()
    said = [split(text) if (text or "").strip() else [text] for text in frame["@response"].to_list()]
    row = pl.Series("row", [at for at, several in enumerate(said) for _ in several], dtype=pl.UInt32)
    each = pl.Series("@response", [one for several in said for one in several], dtype=pl.String)
    return Exchanges(frame[row].with_columns(each), row)


def turns_of(row: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The exchanges of one row, as rows of the same columns."""
    *last, _, history = row
    for user, assistant in exchanges(history):
        yield user, None, user, assistant, None, None
    yield *last, None, None


def answered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        pl.when(pl.col("@prompt").is_not_null()).then(pl.col("@response").fill_null(""))
    )


def gathered(answers: pl.Series, row: pl.Series, problems: list[str | None], rows: int) -> pl.Series:
    """The lists of a row's exchanges one after another; null where one of them has a problem."""
    found = pl.DataFrame({"row": row, "answer": answers, "problem": pl.Series(problems, dtype=pl.String)})
    whole = found.group_by("row", maintain_order=True).agg(
        pl.when(pl.col("problem").is_null().all()).then(
            pl.col("answer").explode(empty_as_null=False).implode()
        )
    )
    every = pl.DataFrame({"row": pl.arange(rows, dtype=pl.UInt32, eager=True)})
    return every.join(whole, on="row", how="left", maintain_order="left")["answer"]


def first_problems(row: pl.Series, problems: list[str | None], rows: int) -> list[str | None]:
    """Of every row the first problem that one of its exchanges has."""
    found: list[str | None] = [None] * rows
    for at, problem in zip(row.to_list(), problems, strict=True):
        found[at] = found[at] or problem
    return found
