"""Rows that are most like the examples of a target, each example choosing in turn."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ...compiler.op import Answers, Cover, Picked, Request
from ...compiler.values import Amount, Data
from ...compiler.wants import Template
from ...errors import DataError
from ..embed.directions import directions
from ..embed.placing import Placing
from ..embed.vectors import Points, column_in, points
from .amounts import rows_wanted
from .turns import Turns, in_passes, in_turns

if TYPE_CHECKING:
    import polars as pl

TULU = Template(
    name="tulu",
    with_input="<|user|>\n{instruction}\n{input}\n<|assistant|>\n",
    without_input="<|user|>\n{instruction}\n<|assistant|>\n",
    header="<|assistant|>\n",
    between="\n",
)
"""How allenai/open-instruct writes a conversation."""


class Rds(Placing, Cover):
    """The rows that are most like the examples of a target, each example choosing in turn: RDS+.

    A row's vector is the mean of the model's last hidden states over all its tokens, token t weighing t;
    the target's examples, the rows of `against`, are read the same way. In turn each example takes the row of
    greatest cosine similarity that nobody has taken, until there are enough (Ivison et al., 2025,
    arXiv 2503.01807, section 3). The result is in the order of choice.

    The authors' code counts padding as tokens, and gives these vectors with batches of one row. `faithful`: turns
    as in their script, where an example goes down its list by one row in every turn, taken or not; by default it
    takes a row in every turn.
    """

    noun = "rds"
    positional = ("keep",)
    paper = "https://arxiv.org/abs/2503.01807"
    example = """
        let target = load "examples/tasks.jsonl" | filter language == "fr" | sample 3
        load "examples/tasks.jsonl" | diversify rds(10) against target using nano
    """

    keep: Amount
    """How many rows, or which part of them."""
    against: Data
    """The examples of the target, such as some of a benchmark's own."""
    of: Literal["prompt", "response", "whole"] = "whole"
    """Which part of a row counts."""
    template: Template = TULU
    """How a language model is shown a row."""
    pool: Literal["position", "mean", "last"] = "position"
    """How a language model's states become one vector; `position` weighs later tokens more."""
    max_tokens: int | None = Field(2048, ge=1)
    """A row is cut to so many tokens."""
    faithful: bool = False
    """An example whose next best row another has taken waits for its next turn, as in the authors' script."""

    def requests(self) -> dict[str, Request]:
        vector = self.vector(limit=self.max_tokens, pool=self.pool)
        return {} if vector is None else {"vector": vector, "target": replace(vector, of=self.against)}

    def pick(self, known: Answers) -> Picked:
        target = known.dataset(self.against)
        rows = known.rows.height
        wanted = rows_wanted(self.keep, rows)
        of_target = directions(self._of_target(known, target), "target examples")
        if not len(of_target):
            raise self._no_target(target.height)
        self._tell_of_overlap(known.rows, target)
        of_rows = self.directed(known)
        choose = in_passes if self.faithful else in_turns
        turns = choose(of_rows.vectors, of_target.vectors, wanted)
        return _picked(turns, of_rows, target["@id"].gather(of_target.rows), rows)

    def _of_target(self, known: Answers, target: pl.DataFrame) -> Points:
        if self.vectors is None:
            return points(known["target"])
        return points(column_in(target, self.vectors.text, self._where))

    @property
    def _where(self) -> str:
        return self.against.label or "the target"

    def _no_target(self, rows: int) -> DataError:
        why = f"none of its {rows:,} rows has a vector" if rows else "it has no rows"
        return DataError(
            "E558",
            f"{self._where} gives no example to be like: {why}",
            help="give a target of rows with a prompt and a response",
        )

    def _tell_of_overlap(self, rows: pl.DataFrame, target: pl.DataFrame) -> None:
        both = int(rows["@key"].is_in(target["@key"].implode()).sum())
        if both:
            told = f"{both:,} of the rows to choose from are in the target too: what is chosen knows the test"
            warnings.warn(told, UserWarning, stacklevel=3)


def _picked(turns: Turns, placed: Points, ids: pl.Series, rows: int) -> Picked:
    import numpy as np
    import polars as pl

    order = pl.Series(placed.rows[turns.order], dtype=pl.UInt32)
    by, alike = [None] * rows, np.full(rows, np.nan)
    names: list[Any] = ids.gather(turns.target).to_list()
    for row, name, similarity in zip(order.to_list(), names, turns.similarity, strict=True):
        by[row], alike[row] = name, similarity
    late = f"not among the {len(order):,} that the {len(ids):,} target examples chose"
    marks = {"chosen by": pl.Series(by, dtype=pl.String), "similarity": pl.Series(alike).fill_nan(None)}
    why = pl.when(pl.Series(placed.among(rows))).then(pl.lit(late)).otherwise(pl.lit("no vector"))
    reasons = pl.select(pl.when(marks["chosen by"].is_null()).then(why).alias("reason")).to_series()
    return Picked(order, reasons, marks, {"kept": len(order), "of": rows, "examples": len(ids)})
