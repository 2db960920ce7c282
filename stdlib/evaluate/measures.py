"""How diverse a set of vectors is: measures without a matrix of all pairs.

Cosine measures take unit vectors, `[rows, dimensions]`; all sums are in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

JITTER = 1e-10
"""What OpenDataArena's scripts add to a diagonal, and put in place of a spread of 0."""


def eigenvalues(directions: np.ndarray) -> np.ndarray:
    """Eigenvalues of the matrix of cosine similarities, the greatest `min(rows, dimensions)` of them.

    The others are 0: `X Xᵀ` and `Xᵀ X` have the same eigenvalues but for zeros, and the smaller one is made.
    """
    import numpy as np

    wide = directions.shape[1] > directions.shape[0]
    found = np.linalg.eigvalsh(_gram(directions.T if wide else directions))
    return np.maximum(found, 0)


def _gram(vectors: np.ndarray, at_once: int = 65_536) -> np.ndarray:
    """`Xᵀ X` in float64, a stretch of rows at a time."""
    import numpy as np

    total = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors), at_once):
        part = vectors[start : start + at_once].astype(np.float64)
        total += part.T @ part
    return total


def vendi(directions: np.ndarray, order: float = 1.0) -> float:
    """The effective number of different rows: exp of the Renyi entropy of the eigenvalues of `K / rows`."""
    import numpy as np

    shares = eigenvalues(directions) / len(directions)
    shares = shares[shares > 0]
    if order == 1:
        return float(np.exp(-(shares * np.log(shares)).sum()))
    if np.isinf(order):
        return float(1 / shares.max())
    return float((shares**order).sum() ** (1 / (1 - order)))


def log_det(directions: np.ndarray) -> float:
    """log det of the matrix of cosine similarities with 1e-10 added to its diagonal.

    Every row beyond the number of dimensions adds log 1e-10 = -23.
    """
    import numpy as np

    found = eigenvalues(directions)
    beyond = len(directions) - len(found)
    return float(np.log(found + JITTER).sum() + beyond * np.log(JITTER))


def mean_similarity(directions: np.ndarray) -> float | None:
    """Mean cosine similarity of all pairs of different rows; none of fewer than two rows."""
    import numpy as np

    rows = len(directions)
    if rows < 2:
        return None
    total = directions.sum(axis=0, dtype=np.float64)
    own = np.einsum("ij,ij->", directions, directions, dtype=np.float64)
    return float((total @ total - own) / (rows * (rows - 1)))


def radius(vectors: np.ndarray, *, floor: bool = False) -> float | None:
    """Geometric mean of the dimensions' standard deviations; none where nothing differs.

    Dimensions in which all rows are equal are left out; with `floor` their deviation counts as 1e-10.
    """
    import numpy as np

    spread = vectors.std(axis=0, dtype=np.float64)
    spread = np.where(spread < JITTER, JITTER, spread) if floor else spread[spread >= JITTER]
    return float(np.exp(np.log(spread).mean())) if len(spread) else None


def facility_distances(vectors: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """How far (euclidean) every row is from the nearest chosen one."""
    from sklearn.metrics import pairwise_distances_argmin_min

    return pairwise_distances_argmin_min(vectors, chosen)[1]


@dataclass(frozen=True, slots=True)
class Partition:
    """The parts into which the rows before were divided."""

    centres: np.ndarray
    """`[parts, dimensions]`"""

    def places(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each row's part, and its squared euclidean distance to the centre of it."""
        from sklearn.metrics import pairwise_distances_argmin_min

        labels, away = pairwise_distances_argmin_min(vectors, self.centres)
        return labels, away**2


def inertias(vectors: np.ndarray, centres: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each row's squared euclidean distance to the centre of its part."""
    import numpy as np

    return ((vectors.astype(np.float64) - centres[labels]) ** 2).sum(axis=1)


def entropy(labels: np.ndarray) -> float:
    """Entropy of the parts' shares of the rows, in nats; log of the number of parts at most."""
    import numpy as np

    counts = np.unique(labels, return_counts=True)[1]
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum()) + 0.0
