"""Random rows like those of another dataset."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Picked, Select
from ...compiler.values import Amount, Data
from ...errors import DataError
from ..score.text import Part, part
from .grams import Ragged, blocks, grams, hashed_words, joined, mixed, sums
from .ranking import Groups, rank
from .sample import in_input_order, uniform

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

TOKENS = r"\w+|[^\w\s]+"
"""Words and runs of punctuation, as the authors cut texts."""
FLOOR = 1e-8
"""What the authors add to a share before its logarithm."""


class Dsir(Select):
    """Random rows whose n-grams are distributed like those of a target: DSIR (Xie et al., 2023).

    A row's weight is Σ over its n-grams of log p(target) - log p(pool), with the shares of `buckets` hash buckets
    of words and pairs of words as p; Gumbel noise is added and the greatest are taken, which draws without
    replacement in proportion to exp(weight) (arXiv 2302.03169, section 3). As in the authors' package but for the
    hash, and for their leaving out texts of fewer than 100 words. Rows without a word are never drawn. The result is
    in the order of the input. Target rows that are in the pool too are warned about.
    """

    verb = "sample"
    noun = "dsir"
    positional = ("keep",)
    random = True
    paper = "https://arxiv.org/abs/2302.03169"
    example = 'load "examples/tasks.jsonl" | sample dsir(5) against (sample 5)'

    keep: Amount
    """How many, or which part of the rows."""
    against: Data
    """The target: rows like those to be drawn."""
    of: Part = "whole"
    """Which part of rows and target rows is read; `whole` is the prompt and the response."""
    n: int = Field(2, ge=1)
    """n-grams of up to so many words."""
    buckets: int = Field(10_000, ge=2)
    """Into how many buckets n-grams are hashed."""
    smoothing: float = Field(0.0, ge=0)
    """Added to the count of every bucket in the target, for a small one."""
    seed: int = 0

    def pick(self, known: Answers) -> Picked:
        import numpy as np
        import polars as pl

        target = self._target(known)
        pool = bucketed(part(known.column, self.of), self.n, self.buckets)
        weights = log_weights(pool, counted(target, self.buckets) + self.smoothing)
        empty = pool[0].sizes == 0
        noise = -np.log(-np.log(np.maximum(uniform(len(weights), self.seed), np.finfo(float).tiny)))
        queue = np.argsort(-(weights + noise), kind="stable")
        ranking = rank(queue[~empty[queue]], len(weights), self.keep, Groups())
        picked = in_input_order(ranking, "no words to compare")
        marks = {"log weight": pl.Series(np.where(empty, np.nan, weights)).fill_nan(None)}
        return Picked(picked.order, picked.reasons, marks, picked.notes)

    def _target(self, known: Answers) -> list[Ragged]:
        """The target's n-grams, as buckets. Raises DataError E547."""
        rows = known.dataset(self.against)
        found = bucketed(part(lambda name: rows[f"@{name}"], self.of), self.n, self.buckets)
        if not len(found[0].numbers):
            label = f"`{self.against.label}`" if self.against.label else "the target"
            raise DataError(
                "E547",
                f"none of the {rows.height:,} rows of {label} has words to compare with",
                help="name a file of rows like those to be drawn after `against`",
            )
        both = int(rows["@key"].is_in(known.rows["@key"].implode()).sum())
        if both:
            fact = f"{both:,} of {rows.height:,} target rows are in the pool too, and likely to be drawn"
            warnings.warn(fact, stacklevel=3)
        return found


def bucketed(texts: pl.Series, n: int, buckets: int) -> list[Ragged]:
    """The buckets of every text's words, of its pairs of words, and so on up to n words: `uint32`."""
    pieces = [_bucketed(hashed_words(block, TOKENS), n, buckets) for block in blocks(texts)]
    return [joined(sized) for sized in zip(*pieces, strict=True)]


def _bucketed(words: Ragged, n: int, buckets: int) -> list[Ragged]:
    import numpy as np

    every = [grams(words, size) for size in range(1, n + 1)]
    return [
        Ragged((mixed(each.numbers) % np.uint64(buckets)).astype(np.uint32), each.starts) for each in every
    ]


def counted(texts: list[Ragged], buckets: int) -> np.ndarray:
    """`[buckets]`: how many n-grams of the texts fall into each."""
    import numpy as np

    return sum((np.bincount(each.numbers, minlength=buckets) for each in texts), np.zeros(buckets))


def log_weights(pool: list[Ragged], target: np.ndarray) -> np.ndarray:
    """`[texts]`: for each text log p(target) - log p(pool), added up over its n-grams."""
    import numpy as np

    found = counted(pool, len(target))
    ratio = np.log(target / target.sum() + FLOOR) - np.log(found / max(found.sum(), 1) + FLOOR)
    return sum((sums(Ragged(ratio[each.numbers], each.starts)) for each in pool), np.zeros(len(pool[0])))
