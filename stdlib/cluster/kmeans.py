"""k-means clusters."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pydantic import Field

from .grouping import Parting

if TYPE_CHECKING:
    import numpy as np


class Kmeans(Parting):
    """The number of the k-means cluster that the row's vector lies in; null without a vector.

    Lloyd's algorithm from k-means++ starts, as in scikit-learn: of `n_init` starts the one with the least
    inertia.
    """

    noun = "kmeans"
    default_model = "minilm"
    example = 'load "examples/tasks.jsonl" | diversify kmeans(4) using nano | sample 8'

    n_init: int = Field(1, ge=1)
    """How many starts are tried."""

    def parts(self, vectors: np.ndarray) -> np.ndarray:
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return KMeans(self.k, n_init=self.n_init, random_state=self.seed).fit_predict(vectors)  # type: ignore[arg-type]
