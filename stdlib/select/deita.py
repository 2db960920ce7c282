"""DEITA's filter as its script runs it, batches included."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Metric = Literal["cosine", "manhattan"]


@dataclass
class Sieved:
    """The points taken, in order, and of those refused which point before is like them, and how much."""

    taken: list[int] = field(default_factory=list)
    refused: dict[int, tuple[int, float]] = field(default_factory=dict)


def as_published(vectors: np.ndarray, threshold: float, wanted: int, batch: int, metric: Metric) -> Sieved:
    """The first point, and of each batch after it the points that no point taken, nor any earlier one of the batch,
    exceeds the threshold with.

    Float32 throughout. What is compared with the threshold is NaN for a vector of length 0, and so exceeds nothing.
    """
    import numpy as np

    if not len(vectors):
        return Sieved()
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    sieved = Sieved(taken=[0])
    for start in range(1, len(unit), batch):
        if len(sieved.taken) >= wanted:
            break
        rows = np.arange(start, min(start + batch, len(unit)))
        before = np.concatenate([sieved.taken, rows])
        compared = _compared(unit[rows], unit[before], metric)
        compared[:, len(sieved.taken) :][np.triu_indices(len(rows))] = -np.inf
        worst = np.where(np.isnan(compared), -np.inf, compared).argmax(axis=1)
        for i, row in enumerate(rows.tolist()):
            if (how := float(compared[i, worst[i]])) > threshold:
                sieved.refused[row] = (int(before[worst[i]]), how)
            else:
                sieved.taken.append(row)
    del sieved.taken[wanted:]
    return sieved


def _compared(rows: np.ndarray, others: np.ndarray, metric: Metric) -> np.ndarray:
    """Similarities, or distances: the script compares both with the threshold in the same way."""
    import numpy as np

    if metric == "cosine":
        return rows @ others.T
    return np.stack([np.abs(row - others).sum(axis=1) for row in rows])
