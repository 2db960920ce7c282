"""Rows with many tags first, until every tag is covered, again and again."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Cover, Picked
from ...compiler.values import Amount, Expression
from ...errors import DataError
from .amounts import rows_wanted

if TYPE_CHECKING:
    import polars as pl


class Tags(Cover):
    """Rows with many tags that cover all tags: InsTag's complexity-first diverse sampling.

    In passes over the rows, those with the most tags first: a row is taken if it has a tag that no row
    taken in this pass has (Lu et al., 2024, arXiv 2308.07074, algorithm 1). A pass ends when it has read all
    rows, and the choice when there are enough. The result is in the order in which rows are taken; rows with
    equally many tags keep the order of the input.

    Rows without a tag are never taken. The published loop does not end when only those are left; here the
    choice ends, with a warning.
    """

    noun = "tags"
    positional = ("keep",)
    paper = "https://arxiv.org/abs/2308.07074"
    example = 'load "examples/tasks.jsonl" | tag split(topic, "-") as tags | diversify tags(10) by tags'

    keep: Amount
    """How many rows, or which part of them; the paper takes 6,000."""
    by: Expression
    """The column that holds a list of tags for every row."""
    passes: int | None = Field(None, ge=1)
    """At most so many passes; with 1 every row taken has a tag that no row before it has."""

    def pick(self, known: Answers) -> Picked:
        tags = tag_sets(known.evaluate(self.by), self.by.text)
        rows = len(tags)
        wanted = rows_wanted(self.keep, rows)
        taken = complexity_first(tags, wanted, self.passes)
        if len(taken.order) < min(wanted, rows):
            self._tell_of_too_few(len(taken.order), wanted, tags)
        return _picked(taken, tags)

    def _tell_of_too_few(self, taken: int, wanted: int, tags: Sequence[frozenset[str]]) -> None:
        untagged = sum(not row for row in tags)
        why = (
            f"{untagged:,} rows have no tag"
            if self.passes is None
            else f"the passes allowed are {self.passes}"
        )
        warnings.warn(f"only {taken:,} of {wanted:,} rows are taken: {why}", UserWarning, stacklevel=3)


@dataclass(frozen=True)
class Taken:
    """Rows in the order in which passes took them."""

    order: list[int]
    at: list[int]
    """The pass that took each of them, counted from 1."""
    unread: frozenset[int]
    """Rows that the last pass did not come to."""


def complexity_first(tags: Sequence[frozenset[str]], wanted: int, passes: int | None = None) -> Taken:
    """So many rows, by passes over the rows with the most tags first."""
    left = [i for i in sorted(range(len(tags)), key=lambda i: -len(tags[i])) if tags[i]]
    carriers = Counter(tag for row in left for tag in tags[row])
    order: list[int] = []
    at: list[int] = []
    number, read = 0, 0
    while left and len(order) < wanted and number != passes:
        number += 1
        found, left, read = _one_pass(left, tags, wanted - len(order), len(carriers))
        order += found
        at += [number] * len(found)
        carriers -= Counter(tag for row in found for tag in tags[row])
    return Taken(order, at, frozenset(left[read:]))


def _one_pass(
    left: list[int], tags: Sequence[frozenset[str]], wanted: int, different: int
) -> tuple[list[int], list[int], int]:
    """The rows that one pass takes, those it leaves, and how many of these it has read.

    With all the `different` tags covered no further row can be taken, which is as good as reading them.
    """
    covered: set[str] = set()
    found: list[int] = []
    passed: list[int] = []
    for row in left:
        if tags[row] <= covered:
            passed.append(row)
            continue
        found.append(row)
        covered |= tags[row]
        if len(found) == wanted or len(covered) == different:
            break
    rest = left[len(found) + len(passed) :]
    return found, passed + rest, len(passed) + (len(rest) if len(covered) == different else 0)


def tag_lists(column: pl.Series, name: str) -> list[list[str] | None]:
    """The tags of every row as they are written; empty ones are left out. Raises DataError E556."""
    import polars as pl

    if column.dtype not in (pl.List(pl.String), pl.List(pl.Categorical), pl.List(pl.Null), pl.Null):
        raise _no_tags(name, column.dtype)
    return [None if row is None else [tag for tag in row if tag] for row in column.to_list()]


def tag_sets(column: pl.Series, name: str) -> list[frozenset[str]]:
    """The different tags of every row; none where the list is null. Raises DataError E556 and E557."""
    tags = [frozenset(row or ()) for row in tag_lists(column, name)]
    if tags and not any(tags):
        raise DataError(
            "E557",
            f"none of the {len(tags):,} rows has a tag in `{name}`",
            help=f"look at why `{name}` is empty, or name another column",
        )
    return tags


def _no_tags(name: str, kind: pl.DataType) -> DataError:
    return DataError(
        "E556",
        f"the column `{name}` holds {kind}, and tags are lists of texts",
        help='name a column whose values are lists such as `["math", "geometry"]`',
    )


def _picked(taken: Taken, tags: Sequence[frozenset[str]]) -> Picked:
    import polars as pl

    order = pl.Series(taken.order, dtype=pl.UInt32)
    passes: list[int | None] = [None] * len(tags)
    for row, number in zip(taken.order, taken.at, strict=True):
        passes[row] = number
    last = max(taken.at, default=0)
    after = f"came after the {len(order):,} that were wanted"
    covered = f"all its tags were covered in pass {last}" if last == 1 else f"covered in all {last} passes"
    reasons = [
        None if number else "no tag" if not tags[row] else after if row in taken.unread else covered
        for row, number in enumerate(passes)
    ]
    marks = {
        "pass": pl.Series(passes, dtype=pl.UInt32),
        "tags": pl.Series([len(row) for row in tags], dtype=pl.UInt32),
    }
    return Picked(order, pl.Series(reasons, dtype=pl.String), marks, _notes(taken, tags))


def _notes(taken: Taken, tags: Sequence[frozenset[str]]) -> dict[str, float | int]:
    """Coverage is the share of all tags, complexity the mean number of tags of the rows taken."""
    chosen = [tags[row] for row in taken.order]
    every = frozenset[str]().union(*tags)
    return {
        "kept": len(chosen),
        "of": len(tags),
        "passes": max(taken.at, default=0),
        "coverage": len(frozenset[str]().union(*chosen)) / max(len(every), 1),
        "complexity": sum(map(len, chosen)) / max(len(chosen), 1),
    }
