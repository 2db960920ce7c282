"""Clusters of the graph of near rows."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pydantic import Field

from ...errors import DataError
from .grouping import Parting

if TYPE_CHECKING:
    import numpy as np

LIMIT = 50_000
"""So many rows need minutes; the factorisation of larger graphs grows faster than their rows."""


class Spectral(Parting):
    """The number of the spectral cluster that the row lies in; null without a vector.

    As scikit-learn's `SpectralClustering` with `affinity="nearest_neighbors"`: k-means on the first `k`
    eigenvectors of the graph in which each row is joined to its `neighbours` nearest ones (Ng et al., 2001), as
    InstructionGPT-4 parts its images (arXiv 2308.12067). The graph is sparse, so memory grows with the rows and not
    with their square; at most 50,000 rows.
    """

    noun = "spectral"
    paper = "https://arxiv.org/abs/2308.12067"
    default_model = "minilm"
    example = 'load "examples/tasks.jsonl" | diversify spectral(3) using nano | sample 6'

    neighbours: int = Field(10, ge=1)
    """To how many rows each is joined, itself included."""
    n_init: int = Field(10, ge=1)
    """How many starts k-means tries on the eigenvectors."""

    def parts(self, vectors: np.ndarray) -> np.ndarray:
        import numpy as np
        from sklearn.cluster import SpectralClustering

        if len(vectors) > LIMIT:
            raise self._too_many(len(vectors))
        if len(vectors) == self.k:
            return np.arange(self.k)
        fit = SpectralClustering(
            self.k,
            affinity="nearest_neighbors",
            n_neighbors=min(self.neighbours, len(vectors)),
            n_init=self.n_init,
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Graph is not fully connected")
            warnings.filterwarnings("ignore", message="The spectral clustering API has changed")
            return fit.fit_predict(vectors)

    def _too_many(self, rows: int) -> DataError:
        return DataError(
            "E550",
            f"spectral({self.k}) takes at most {LIMIT:,} rows, and there are {rows:,}",
            help=f"cluster with `minibatch({self.k})`, or choose rows first, such as `sample {LIMIT // 1000}k`",
        )
