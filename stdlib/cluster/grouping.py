"""What all clusterers of vectors have in common."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Cluster
from ...errors import DataError
from ..embed.placing import PlacingBy
from ..embed.shortage import too_few
from ..embed.vectors import Points

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

NOISE = -1
"""What stands for no cluster among the labels, as in scikit-learn."""


class Grouping(PlacingBy, Cluster):
    """A clusterer of vectors: it labels the rows that have one; the others are in no cluster."""

    def reduce(self, known: Answers) -> pl.Series:
        import numpy as np
        import polars as pl

        placed = self.grouped(known)
        labels = np.full(known.rows.height, NOISE, dtype=np.int32)
        labels[placed.rows] = self.labels(placed.vectors, known.rows.height)
        found = pl.lit(pl.Series(labels))
        return pl.select(pl.when(found != NOISE).then(found)).to_series()

    def grouped(self, known: Answers) -> Points:
        """The points that are labelled."""
        return self.placed(known)

    def labels(self, vectors: np.ndarray, rows: int) -> np.ndarray:
        """A label for each vector, `NOISE` for those in no cluster; `rows` counts those without one too."""
        raise NotImplementedError(f"{type(self).__name__} does not label its vectors")


class Parting(Grouping):
    """A clusterer that is told how many clusters there are."""

    positional = ("k",)
    random = True

    k: int = Field(ge=1)
    """How many clusters."""
    seed: int = 0

    def labels(self, vectors: np.ndarray, rows: int) -> np.ndarray:
        if len(vectors) < self.k:
            raise fewer_than(self.k, self.noun, len(vectors), rows)
        labels = self.parts(vectors)
        self._tell_of_empty_clusters(labels, vectors)
        return labels

    def parts(self, vectors: np.ndarray) -> np.ndarray:
        """The number of the cluster of each vector; there are at least `k` vectors."""
        raise NotImplementedError(f"{type(self).__name__} does not part its vectors")

    def _tell_of_empty_clusters(self, labels: np.ndarray, vectors: np.ndarray) -> None:
        import numpy as np

        used = len(np.unique(labels))
        if used == self.k:
            return
        few = len(np.unique(vectors, axis=0)) < self.k
        why = ": there are fewer distinct vectors than clusters" if few else "; the others are empty"
        warnings.warn(f"{self.noun}({self.k}) found only {used} clusters{why}", stacklevel=2)


def fewer_than(k: int, noun: str, placed: int, rows: int) -> DataError:
    """The error of fewer rows than clusters."""
    needed = f"{noun}({k}) needs {k:,} rows"
    fewer = f"ask for fewer clusters, such as `{noun}({max(1, placed // 10)})`"
    return too_few(needed, placed, rows, advice=fewer)
