"""DEITA's filter as its script runs it, batches and rounding included."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import torch

Metric = Literal["cosine", "manhattan"]


@dataclass
class Sieved:
    """The points taken, in order, and of those refused which point before is like them, and how much."""

    taken: list[int] = field(default_factory=list)
    refused: dict[int, tuple[int, float]] = field(default_factory=dict)


def as_published(
    vectors: np.ndarray, threshold: float, wanted: int, *, batch: int, metric: Metric, normalize: bool
) -> Sieved:
    """The first point, and of each batch after it the points that no point taken, nor any earlier one of the batch,
    exceeds the threshold with.

    The products are made one by one as in the script, because their shape decides the last bit. What is compared is
    NaN for a vector of length 0, and so exceeds nothing; 0 stands for later points of a batch, and exceeds a
    threshold below that.
    """
    import torch

    if not len(vectors):
        return Sieved()
    points = scaled(torch.from_numpy(vectors), metric, normalize=normalize)
    sieved, before = Sieved(taken=[0]), torch.empty_like(points)
    before[0] = points[0]
    for start in range(1, len(points), batch):
        if len(sieved.taken) >= wanted:
            break
        count, some = len(sieved.taken), points[start : start + batch].clone()  # Aligned, as theirs is.
        compared = torch.cat([alike(some, before[:count], metric), alike(some, some, metric).tril(-1)], dim=1)
        rivals = [*sieved.taken, *range(start, start + len(some))]
        worst = compared.nan_to_num(nan=-torch.inf).max(dim=1)
        for i, refused in enumerate((compared > threshold).any(dim=1).tolist()):
            if refused:
                sieved.refused[start + i] = (rivals[int(worst.indices[i])], float(worst.values[i]))
            else:
                before[len(sieved.taken)] = some[i]
                sieved.taken.append(start + i)
    del sieved.taken[wanted:]
    return sieved


def scaled(points: torch.Tensor, metric: Metric, *, normalize: bool) -> torch.Tensor:
    """The points at length 1, made so twice where the script does; as they are for distances not normalized."""
    for _ in range(normalize + (metric == "cosine")):
        points = points / points.norm(dim=1)[:, None]
    return points


def alike(some: torch.Tensor, others: torch.Tensor, metric: Metric) -> torch.Tensor:
    """Similarities, or distances: the script compares both with the threshold in the same way."""
    import torch

    if metric == "cosine":
        return some @ others.T
    return torch.cdist(some[None], others[None], p=1)[0]
