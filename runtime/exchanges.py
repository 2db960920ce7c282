"""Conversations taken apart: each exchange, pair of turns or sentence as a row of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


Taken = tuple[Any, ...]
"""The values of a row in the columns shown."""


def first(frame: pl.DataFrame) -> pl.DataFrame:
    """Every row's first two turns, as if there were no others."""
    found = pairs(frame)
    return found.frame.filter(found.row.is_first_distinct())


def each(frame: pl.DataFrame) -> Exchanges:
    """Every exchange as a row without turns before it; one that nobody answers has an empty response."""
    return apart(frame, turns_of)


def pairs(frame: pl.DataFrame) -> Exchanges:
    """Every two turns as a row without turns before it, whoever says them; a last one has an empty response."""
    return apart(frame, pairs_of)


def apart(frame: pl.DataFrame, parts: Callable[[Taken], Iterator[Taken]]) -> Exchanges:
    """The parts of every row as rows."""
    if frame["@history"].null_count() == frame.height:
        alone = frame.with_columns(pl.lit(None, pl.String).alias("@system"))
        return Exchanges(answered(alone), pl.arange(frame.height, dtype=pl.UInt32, eager=True))
    taken = [(at, turn) for at, row in enumerate(frame.select(SHOWN).rows()) for turn in parts(row)]
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


def turns_of(row: Taken) -> Iterator[Taken]:
    """The exchanges of one row, as rows of the same columns."""
    *last, _, history = row
    for user, assistant in exchanges(history):
        yield exchange(user, assistant)
    yield *last, None, None


def pairs_of(row: Taken) -> Iterator[Taken]:
    """The turns of one row two by two, as rows of the same columns."""
    *last, _, history = row
    prompt, response = last[2:]
    said = [turn["content"] or "" for turn in history or ()]
    before = said if len(said) % 2 == 0 or prompt is None else [*said, prompt]
    for first, second in zip(before[::2], before[1::2], strict=False):
        yield exchange(first, second)
    if before is said:
        yield *last, None, None
    elif response is not None:
        yield exchange(response, "")


def exchange(prompt: str, response: str) -> Taken:
    return prompt, None, prompt, response, None, None


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
