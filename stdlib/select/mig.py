"""Good rows whose tags are not covered yet, tags that mean much the same counting together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ...compiler.op import Answers, Cover, Picked
from ...compiler.values import Amount, Expression
from ...errors import DataError
from ..tag.vectors import Meaning
from .amounts import rows_wanted
from .information import Chosen, membership, most_informative, propagation, similar
from .tags import tag_sets

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


class Mig(Meaning, Cover):
    """Rows that together bring the most information on all tags: MIG (Chen et al., 2025).

    Each row gives its score to its tags, and every tag passes it on to similar tags: `u = (score · tags) P`,
    `P` the matrix of similarities of at least `threshold`, its columns summing to 1. Rows are chosen greedily by
    `u · φ'(x)`, `x` the sum of the chosen rows' `u` and `φ'(x) = 0.8 (x + 1e-6)^-0.2` (arXiv 2504.13835).
    The result is in the order of choice; ties go to the earlier row.

    A model reads the tags as it reads prompts; or their vectors come from the rows of `against`, one tag a
    row, read by the model or from a column. A tag without a vector is similar to itself only.
    """

    noun = "mig"
    positional = ("keep", "labels")
    takes = (("by", "number"),)
    paper = "https://arxiv.org/abs/2504.13835"
    default_model = "minilm"
    example = """
        load "examples/tasks.jsonl"
        | tag split(topic, "-") as tags
        | score length
        | diversify mig(10, tags) by length using nano
    """

    keep: Amount
    """How many rows, or which part of them."""
    by: Expression
    """The rows' scores, 0 or more; the paper takes DEITA's complexity times quality."""
    threshold: float = Field(0.9, ge=-1, le=1)
    """Tags that are less similar than this have nothing to do with each other."""
    spreading: float = Field(1.0, ge=0)
    """The weight of similar tags beside the tag itself."""
    norm: bool = False
    """Share a row's score out over its tags, so that many tags bring no more than few."""
    phi: Literal["power", "exponential"] = "power"
    """How the worth of more of the same falls: `power (x + shift)^(power - 1)`, or
    `rate exp(-rate x)`."""
    power: float = Field(0.8, gt=0, lt=1)
    """Of `power`: nearer to 1, more of the same is worth more."""
    shift: float = Field(1e-6, gt=0)
    """Of `power`: the less, the more a tag is worth that no row has brought."""
    rate: float = Field(1.0, gt=0)
    """Of `exponential`: how fast the worth falls."""

    def pick(self, known: Answers) -> Picked:
        import numpy as np
        from scipy.sparse import csr_array

        tags = tag_sets(known.evaluate(self.labels), self.labels.text)
        scores = numbers(known.evaluate(self.by))
        wanted = rows_wanted(self.keep, len(tags))
        rows = np.flatnonzero(~np.isnan(scores) & np.array([bool(row) for row in tags], dtype=bool))
        self._refuse(scores, rows, known)
        vocabulary = sorted(frozenset().union(*tags))
        shared = membership([tags[row] for row in rows.tolist()], vocabulary, scores[rows], norm=self.norm)
        found = self.meanings(known, vocabulary)
        spread = propagation(similar(found.vectors, found.places, self.threshold), self.spreading)
        chosen = most_informative(csr_array(shared @ spread), wanted, self.worth)
        return self._picked(rows[chosen.order], chosen, rows, known)

    def worth(self, x: float) -> float:
        """φ'(x), what a little more of a tag is worth of which there is x."""
        from math import exp

        if self.phi == "exponential":
            return self.rate * exp(-self.rate * x)
        return self.power * (x + self.shift) ** (self.power - 1)

    def _refuse(self, scores: np.ndarray, rows: np.ndarray, known: Answers) -> None:
        if len(scores) and not len(rows):
            raise DataError(
                "E524",
                f"none of the {len(scores):,} rows has both a tag and a number for `{self.by.text}`",
                help=f"look at why `{self.by.text}` is null where there are tags",
            )
        below = rows[scores[rows] < 0]
        if len(below):
            raise DataError(
                "E525",
                f"the score `{self.by.text}` is {scores[below[0]]} in row {below[0] + 1}, "
                "and a tag cannot be given less than nothing",
                help=f"take an expression that is never negative, such as `minmax({self.by.text})`",
            )

    def _picked(self, order: np.ndarray, chosen: Chosen, rows: np.ndarray, known: Answers) -> Picked:
        import numpy as np
        import polars as pl

        every = known.rows.height
        gains = np.full(every, np.nan)
        gains[order] = chosen.gains
        taken, able = np.isin(np.arange(every), order), np.isin(np.arange(every), rows)
        late = f"brought less than the {len(order):,} chosen"
        why = (
            pl.when(pl.Series(able))
            .then(pl.lit(late))
            .otherwise(pl.lit(f"no tag or no `{self.by.text}` score"))
        )
        reasons = pl.select(pl.when(~pl.Series(taken)).then(why).alias("reason")).to_series()
        notes: dict[str, Any] = {"kept": len(order), "of": every, "information": float(sum(chosen.gains))}
        marks = {"gain": pl.Series(gains).fill_nan(None)}
        return Picked(pl.Series(order, dtype=pl.UInt32), reasons, marks, notes)


def numbers(column: pl.Series) -> np.ndarray:
    """The column in float64; NaN where it has no number."""
    import polars as pl

    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
