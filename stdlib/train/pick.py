"""The rows on which Cherry's model gets its first, brief experience."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike


def cherry_pick(
    vectors: ArrayLike,
    perplexities: ArrayLike,
    *,
    clusters: int = 100,
    per_cluster: int = 10,
    low: float = 25,
    high: float = 75,
    seed: int = 0,
    n_init: int = 10,
) -> list[int]:
    """Positions of the rows of middling perplexity of every k-means cluster, cluster by cluster, then
    ascending.

    Li et al., 2024 (arXiv 2308.12032), section 2.1: of each cluster the rows whose perplexity lies between
    its `low` and `high` percentiles, thinned evenly in the order of the rows; all rows of a cluster that
    has too few.
    """
    import numpy as np

    labels = _kmeans(np.asarray(vectors), clusters, n_init, seed)
    surprise = np.asarray(perplexities)
    picked: list[int] = []
    for cluster in range(clusters):
        members = np.flatnonzero(labels == cluster)
        picked += _thinned(_middling(members, surprise, per_cluster, low, high), per_cluster)
    return picked


def _kmeans(vectors: np.ndarray, clusters: int, n_init: int, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    if len(vectors) < clusters:
        raise DataError(
            "E520",
            f"{clusters:,} clusters need as many rows, and there are {len(vectors):,}",
            help=f"ask for fewer clusters: `clusters = {max(1, len(vectors) // 10)}`",
        )
    fit = KMeans(clusters, n_init=n_init, random_state=seed)  # type: ignore[arg-type]
    return fit.fit_predict(vectors)


def _middling(
    members: np.ndarray, surprise: np.ndarray, wanted: int, low: float, high: float
) -> Sequence[int]:
    import numpy as np

    if len(members) < wanted:
        return members.tolist()
    least, most = np.percentile(surprise[members], [low, high])
    return members[(surprise[members] >= least) & (surprise[members] <= most)].tolist()


def _thinned(members: Sequence[int], wanted: int) -> list[int]:
    """Every so-and-so-many-th, as many as wanted; all where there are fewer."""
    if len(members) < wanted:
        return list(members)
    return list(members[:: len(members) // wanted][:wanted])
