"""DiverseEvol's own k-center, rounding included, and its whitening."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import DataError
from .farthest import Covered

if TYPE_CHECKING:
    import numpy as np

HELD = 16_000
"""Up to so many points all distances are held, as in the script, so that the sums are rounded as there."""
COLUMNS = 256


def as_published(vectors: np.ndarray, chosen: Sequence[int], more: int) -> Covered:
    """The greedy choice with distances from float32 dot products, where NaN counts as farthest."""
    import numpy as np

    table = distances(vectors, vectors) if len(vectors) <= HELD else None

    def nearest_of(centres: Sequence[int]) -> np.ndarray:
        columns = list(centres)
        between = distances(vectors, vectors[columns]) if table is None else table[:, columns]
        return between.min(axis=1)

    order, left = list(chosen), np.setdiff1d(np.arange(len(vectors)), chosen)
    starts = range(0, len(order), COLUMNS)
    nearest = np.minimum.reduce([nearest_of(order[start : start + COLUMNS]) for start in starts])
    for _ in range(more):
        best = int(left[nearest[left].argmax()])
        order.append(best)
        left = left[left != best]
        nearest = np.minimum(nearest, nearest_of([best]))
    away = np.nan_to_num(nearest)
    away[order] = 0
    return Covered(order, away)


def drawn_as_published(rows: int, count: int, seed: int) -> list[int]:
    """The rows that training begins with, ascending."""
    import torch

    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    return sorted(order[:count].tolist())


def distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Without a floor at 0 under the root: the order of these sums decides which of them end below it."""
    import numpy as np
    import torch

    rows, columns = (torch.from_numpy(np.array(each)) for each in (points, centres))
    products = rows @ columns.T
    if len(points) == len(centres):
        squares = (products.diagonal(),) * 2
    else:
        squares = tuple((each * each).sum(dim=1) for each in (rows, columns))
    return torch.sqrt(-2 * products + squares[0][:, None] + squares[1][None, :]).numpy()


def whitened(vectors: np.ndarray, components: int) -> np.ndarray:
    """The leading principal components at equal variance, each point then at length 1: float32."""
    import numpy as np

    wide = vectors.astype(np.float64)
    directions, variances, _ = np.linalg.svd(np.atleast_2d(np.cov(wide.T, bias=len(wide) == 1)))
    refuse_more_than(int((variances > 1e-12 * variances[0]).sum()), components)
    found = (wide - wide.mean(axis=0)) @ (directions[:, :components] / np.sqrt(variances[:components]))
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return (found / np.maximum(lengths, np.finfo(np.float64).tiny)).astype(np.float32)


def whitened_as_published(vectors: np.ndarray, components: int) -> np.ndarray:
    """The same, rounded as in the script, whose sums are in float32 throughout."""
    import numpy as np
    import torch

    rows = torch.from_numpy(np.array(vectors))
    directions, variances, _ = torch.linalg.svd(torch.atleast_2d(torch.cov(rows.T)))
    refuse_more_than(int((variances > 0).sum()), components)
    kernel = (directions @ torch.diag(1 / variances.sqrt()))[:, :components]
    found = (rows - rows.mean(dim=0, keepdim=True)) @ kernel
    return (found / (found**2).sum(dim=1, keepdim=True).sqrt()).numpy()


def refuse_more_than(varied: int, components: int) -> None:
    """Raises DataError E553 where vectors vary in fewer directions than were asked for."""
    if components <= varied:
        return
    raise DataError(
        "E553",
        f"the vectors vary in {varied:,} directions, and {components:,} were asked for",
        help=f"ask for `whiten = {varied}` or less" if varied else "leave `whiten` out",
    )
