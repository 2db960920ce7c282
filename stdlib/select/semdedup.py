"""Near duplicates by meaning."""

from __future__ import annotations

import warnings
from math import isqrt
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ...compiler.op import Answers, Dedup, Picked
from ..embed.placing import PlacingBy
from ..embed.shortage import too_few
from ..embed.vectors import Points

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

ROWS_AT_ONCE = 1024
"""How many rows of a cluster are compared with those before them at once; any number gives the same result."""
ALONE = -1


class Semdedup(PlacingBy, Dedup):
    """The rows that are not nearly the same as another one in meaning: SemDeDup.

    Rows are parted by mini-batch k-means on their unit vectors. Inside a cluster they stand in the order of
    their similarity to its centre, the least alike first, and each row goes whose cosine similarity to any
    row before it is above `1 - eps` (Abbas et al., 2023, arXiv 2303.09540, section 3): of near duplicates the
    one farthest from the centre stays. Result in the order of the input. Rows without a vector stay: nothing
    is known to be the same. Near duplicates that fall into two clusters are not found.
    """

    noun = "semdedup"
    positional = ("eps",)
    random = True
    paper = "https://arxiv.org/abs/2303.09540"
    default_model = "minilm"
    example = 'load "examples/tasks.jsonl" | dedup semdedup(0.05) using nano'

    eps: float = Field(0.05, ge=0, le=2)
    """Rows are nearly the same above a similarity of one minus this."""
    k: int | None = Field(None, ge=1)
    """How many clusters; the square root of the number of rows where not given."""
    stay: Literal["far", "near"] = "far"
    """Whether the row farthest from the centre of its cluster stays, as in the paper, or the nearest."""
    seed: int = 0

    def pick(self, known: Answers) -> Picked:
        import numpy as np
        import polars as pl

        rows, placed = known.rows.height, self.directed(known)
        rival, similarity = np.full(rows, ALONE), np.full(rows, np.nan, dtype=np.float32)
        for members in self._clusters(placed, rows):
            alike, how = most_alike_before(placed.vectors[members])
            inside = placed.rows[members]
            similarity[inside] = how
            rival[inside] = np.where(how > 1 - self.eps, inside[alike], ALONE)
        order = pl.Series(np.flatnonzero(rival == ALONE), dtype=pl.UInt32)
        notes = {"kept": len(order), "of": rows}
        return Picked(order, self._reasons(rival, similarity, known), notes=notes)

    def _clusters(self, placed: Points, rows: int) -> list[np.ndarray]:
        """The points of each cluster in the order in which they stay."""
        import numpy as np
        from sklearn.cluster import MiniBatchKMeans
        from sklearn.exceptions import ConvergenceWarning

        k = isqrt(len(placed)) if self.k is None else self.k
        if k > len(placed):
            needed = f"semdedup needs {k:,} rows for its {k:,} clusters"
            raise too_few(needed, len(placed), rows, advice="leave `k` out")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = MiniBatchKMeans(k, n_init=1, random_state=self.seed).fit_predict(placed.vectors)  # type: ignore[arg-type]
        by_label = np.argsort(labels, kind="stable")
        parts = np.split(by_label, np.flatnonzero(np.diff(labels[by_label])) + 1)
        return [part[self._standing(placed.vectors[part])] for part in parts]

    def _standing(self, vectors: np.ndarray) -> np.ndarray:
        """The order of the points of a cluster: who comes first stays."""
        # Rounded, because equal points are to stand in the order of the rows.
        nearness = (vectors @ vectors.mean(axis=0)).round(6)
        return (nearness if self.stay == "far" else -nearness).argsort(kind="stable")

    def _reasons(self, rival: np.ndarray, similarity: np.ndarray, known: Answers) -> pl.Series:
        import numpy as np
        import polars as pl

        at = pl.Series(np.where(rival == ALONE, 0, rival))
        other = pl.Series(known.column("id")).gather(at)
        told = pl.format(
            f"similarity {{}} to row {{}} of its cluster; above {1 - self.eps:g} they are nearly the same",
            pl.Series(similarity).round(4),
            other,
        )
        return pl.select(pl.when(pl.Series(rival != ALONE)).then(told).alias("reason")).to_series()


def most_alike_before(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each unit vector the one before it that is most like it, and how much; below any for the first."""
    import numpy as np

    alike, how = np.zeros(len(vectors), dtype=np.int64), np.full(len(vectors), -np.inf, dtype=np.float32)
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        these = vectors[start : start + ROWS_AT_ONCE]
        products = these @ vectors[: start + len(these)].T
        later = np.arange(products.shape[1])[None, :] >= np.arange(start, start + len(these))[:, None]
        products[later] = -np.inf
        alike[start : start + len(these)] = products.argmax(axis=1)
        how[start : start + len(these)] = products.max(axis=1)
    return alike, how
