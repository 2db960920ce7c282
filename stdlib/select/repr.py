"""Good rows that are unlike the good rows before them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ...compiler.op import Answers, Cover, Picked, Request
from ...compiler.templates import VICUNA
from ...compiler.values import Amount, Expression
from ...compiler.wants import Template
from ...errors import DataError
from ..embed.placing import Placing
from ..embed.vectors import closed_vectors_of
from .amounts import rows_wanted
from .deita import Metric, Sieved, as_published
from .top import best_first

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

BLOCK = 512
"""How many rows are compared with the taken ones at once; any number gives the same choice."""
WINDOW = 2048
"""The `max_length` of the authors' script."""
DOUBT = 5e-6
"""So far a float32 product of unit vectors is off at most."""


class Repr(Placing, Cover):
    """The best rows by a score, each unlike all better ones taken: DEITA's Repr filter (Liu et al., 2024).

    In the order of the score, a row is taken if its cosine similarity to every row taken so far is at most
    the threshold (arXiv 2312.15685, section 2.4). Result in that order; ties go to the earlier row. Rows
    without a score or a vector are never taken. A language model's vector is its last hidden state of the
    last token of the conversation in the Vicuna template, as in the paper.

    `faithful`: as DEITA's script, which has a blank before a response, `</s>` after it, and the vector of that; the
    default differs in that the last token is the response's own, that a vector of length 0, which is like no other,
    is not taken, that float64 decides near the threshold, and that there are no batches.
    In a conversation every exchange begins with the template's first sentence; the script has it once.
    """

    noun = "repr"
    positional = ("threshold", "keep")
    takes = (("by", "number"),)
    paper = "https://arxiv.org/abs/2312.15685"
    default_model = "minilm"
    example = 'load "examples/tasks.jsonl" | score length | diversify repr(0.9) by length using nano'

    threshold: float = Field(0.9, ge=-1)
    """The greatest similarity to a row taken before, at most 1; with `manhattan` the greatest distance."""
    keep: Amount | None = None
    """At most so many rows, or this part of them; all that pass where not given."""
    by: Expression
    """The number that orders the rows; its scorer says which end is the best."""
    of: Literal["prompt", "response", "whole"] = "whole"
    """Which part of the row the model reads."""
    template: Template = VICUNA
    """How a language model is shown the row."""
    pool: Literal["last", "mean", "first"] = "last"
    """How a language model's states become one vector."""
    max_tokens: int | None = Field(None, ge=1)
    """The model reads so many tokens; its context (faithful: 2048) where not given."""
    faithful: bool = False
    """Texts, zero vectors, batches and distances as in DEITA's script."""
    batch: int = Field(1, ge=1)
    """With `faithful`: so many rows are compared at once, each with refused ones of the batch too."""
    metric: Metric = "cosine"
    """With `faithful`: `manhattan` refuses rows whose distance is above the threshold, the far ones."""
    normalize: bool = True
    """With `faithful`: distances are those of vectors at length 1; similarities always are."""

    @model_validator(mode="after")
    def _has_no_batches_by_default(self) -> Repr:
        if not self.faithful and (self.batch, self.metric, self.normalize) != (1, "cosine", True):
            raise ValueError("takes `batch`, `metric` and `normalize` with `faithful = true` alone")
        return self

    @model_validator(mode="after")
    def _has_a_similarity_as_threshold(self) -> Repr:
        if self.metric == "cosine" and self.threshold > 1:
            raise ValueError("takes a threshold of at most 1: nothing is more alike than that")
        return self

    def requests(self) -> dict[str, Request]:
        vector = self.vector(limit=self.max_tokens, pool=self.pool)
        if vector is None or self.using is None:
            return {}
        if self.faithful and self.of == "whole" and self.using.kind != "encoder":
            limit = self.max_tokens or WINDOW
            vector = closed_vectors_of(self.using, spaced(self.template), limit=limit, pool=self.pool)
        return {"vector": vector}

    def pick(self, known: Answers) -> Picked:
        import numpy as np

        rows = known.rows.height
        placed = (self.placed if self.faithful else self.directed)(known)
        where = np.full(rows, -1, dtype=np.int64)
        where[placed.rows] = np.arange(len(placed))
        queue = best_first(known.evaluate(self.by), self.by.better)
        queue = queue[where[queue] >= 0]
        if len(queue) == 0 and rows:
            raise self._nothing_to_choose(rows)
        wanted = self._wanted(rows)
        return self._picked(self._sieved(placed.vectors[where[queue]], wanted), queue, known)

    def _sieved(self, vectors: np.ndarray, wanted: int) -> Sieved:
        if not self.faithful:
            return unlike(vectors, self.threshold, wanted)
        return as_published(
            vectors, self.threshold, wanted, batch=self.batch, metric=self.metric, normalize=self.normalize
        )

    def _wanted(self, rows: int) -> int:
        return rows if self.keep is None else rows_wanted(self.keep, rows)

    def _nothing_to_choose(self, rows: int) -> DataError:
        return DataError(
            "E524",
            f"none of the {rows:,} rows has both a vector and a number for `{self.by.text}`",
            help=f"order by another column, or look at why `{self.by.text}` is null everywhere",
        )

    def _picked(self, sieved: Sieved, queue: np.ndarray, known: Answers) -> Picked:
        import polars as pl

        order = pl.Series(queue[sieved.taken], dtype=pl.UInt32)
        refused = pl.DataFrame(
            {
                "row": queue[list(sieved.refused)],
                "similarity": [s for _, s in sieved.refused.values()],
                "rival": queue[[r for r, _ in sieved.refused.values()]],
            },
            schema={"row": pl.UInt32, "similarity": pl.Float32, "rival": pl.UInt32},
        )
        notes = {"kept": len(order), "of": known.rows.height, "read": len(order) + len(refused)}
        return Picked(order, self._reasons(refused, order, queue, known), notes=notes)

    def _reasons(
        self, refused: pl.DataFrame, order: pl.Series, queue: np.ndarray, known: Answers
    ) -> pl.Series:
        import polars as pl

        alike = pl.format(
            f"similarity {{}} to row {{}}, which is better; at most {self.threshold} is allowed",
            pl.col("similarity").round(4),
            pl.lit(known.column("id")).gather(pl.col("rival")),
        )
        told = refused.select("row", alike.alias("reason"))
        late = pl.Series("row", queue, dtype=pl.UInt32).to_frame()
        late = late.select("row", pl.lit(f"came after the {len(order):,} that were wanted").alias("late"))
        every = pl.select(pl.int_range(known.rows.height, dtype=pl.UInt32).alias("row"))
        every = every.join(told, on="row", how="left").join(late, on="row", how="left").sort("row")
        why = pl.coalesce("reason", "late", pl.lit(f"no vector or no `{self.by.text}` score"))
        taken = pl.col("row").is_in(order.implode())
        return every.select(pl.when(~taken).then(why).alias("reason"))["reason"]


def spaced(template: Template) -> Template:
    """The template with a blank before the response."""
    return replace(template, with_input=template.with_input + " ", without_input=template.without_input + " ")


def unlike(directions: np.ndarray, threshold: float, wanted: int) -> Sieved:
    """The unit vectors, in order, that are no more similar than the threshold to any one taken before.

    One product against the taken ones and one within the block decide a block; the choice is that of taking one
    after the other. Products are in float32; near the threshold, float64 decides.
    """
    sieved = Sieved()
    for start in range(0, len(directions), BLOCK):
        if len(sieved.taken) >= wanted:
            break
        _sieve(directions, range(start, min(start + BLOCK, len(directions))), threshold, wanted, sieved)
    return sieved


def _sieve(directions: np.ndarray, block: range, threshold: float, wanted: int, sieved: Sieved) -> None:
    import numpy as np

    rows = directions[block.start : block.stop]
    within = rows @ rows.T
    rival, similarity = _most_alike(rows, directions, sieved.taken)
    for i in range(len(block)):
        if len(sieved.taken) >= wanted:
            return
        like, how = int(rival[i]), float(similarity[i])
        if abs(how - threshold) < DOUBT:
            like, how = _exactly_most_alike(rows[i], directions, sieved.taken)
        if how > threshold:
            sieved.refused[block[i]] = (like, how)
            continue
        sieved.taken.append(block[i])
        closer = np.flatnonzero(within[i] > similarity)
        rival[closer], similarity[closer] = block[i], within[i][closer]


def _most_alike(rows: np.ndarray, directions: np.ndarray, taken: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """For each row the taken point that is most like it, and how much."""
    import numpy as np

    if not taken:
        return np.full(len(rows), -1), np.full(len(rows), -np.inf, dtype=np.float32)
    products = rows @ directions[taken].T
    best = products.argmax(axis=1)
    return np.asarray(taken)[best], products[np.arange(len(rows)), best]


def _exactly_most_alike(row: np.ndarray, directions: np.ndarray, taken: list[int]) -> tuple[int, float]:
    import numpy as np

    products = directions[taken].astype(np.float64) @ row.astype(np.float64)
    best = int(products.argmax())
    # Vectors of length 1 are so to seven digits, and copies are not to come out as more alike than 1.
    return taken[best], min(float(products[best]), 1.0)
