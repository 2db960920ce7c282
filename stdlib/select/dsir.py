"""Random rows like those of another dataset."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Picked, Select
from ...compiler.values import Amount, Data
from ...errors import DataError
from ..score.text import Part, part
from .grams import Ragged, blocks, ends, grams, hashed_words, mixed, sums
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
    replacement in proportion to the weights (arXiv 2302.03169, section 3). As in the authors' package but for the
    hash, and for their leaving out texts of fewer than 100 words. The result is in the order of the input. Target
    rows that are in the pool too are warned about.
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
        pool = self._buckets(part(known.column, self.of))
        weights = log_weights(pool, target, self.buckets, self.smoothing)
        drawable = np.flatnonzero(pool.sizes > 0)
        noise = -np.log(-np.log(np.maximum(uniform(len(pool), self.seed), np.finfo(float).tiny)))
        queue = drawable[np.argsort(-(weights + noise)[drawable], kind="stable")]
        picked = in_input_order(rank(queue, len(pool), self.keep, Groups()), "no words to compare")
        marks = {"log weight": pl.Series(weights).set(pl.Series(pool.sizes == 0), None)}
        return Picked(picked.order, picked.reasons, marks, picked.notes)

    def _target(self, known: Answers) -> np.ndarray:
        """The target's n-grams, as buckets. Raises DataError E547."""
        rows = known.dataset(self.against)
        found = self._buckets(part(lambda name: rows[f"@{name}"], self.of)).numbers
        if not len(found):
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

    def _buckets(self, texts: pl.Series) -> Ragged:
        """The bucket of each n-gram of each text."""
        import numpy as np

        found = [self._some_buckets(block) for block in blocks(texts)]
        numbers = [each.numbers for each in found]
        sizes = [each.sizes for each in found]
        return Ragged(
            np.concatenate([np.zeros(0, np.uint32), *numbers]), ends(np.concatenate([[0][:0], *sizes]))
        )

    def _some_buckets(self, texts: pl.Series) -> Ragged:
        import numpy as np

        words = hashed_words(texts, TOKENS)
        every = [grams(words, size) for size in range(1, self.n + 1)]
        order = np.argsort(np.concatenate([each.texts for each in every]), kind="stable")
        numbers = np.concatenate([mixed(each.numbers + np.uint64(n)) for n, each in enumerate(every)])
        within = (numbers[order] % np.uint64(self.buckets)).astype(np.uint32)
        return Ragged(within, ends(sum(each.sizes for each in every)))


def log_weights(pool: Ragged, target: np.ndarray, buckets: int, smoothing: float) -> np.ndarray:
    """`[texts]`: for each text log p(target) - log p(pool), added up over its n-grams."""
    import numpy as np

    wanted = np.bincount(target, minlength=buckets) + smoothing
    found = np.bincount(pool.numbers, minlength=buckets)
    ratio = np.log(wanted / wanted.sum() + FLOOR) - np.log(found / max(found.sum(), 1) + FLOOR)
    return sums(Ragged(ratio[pool.numbers], pool.starts))
