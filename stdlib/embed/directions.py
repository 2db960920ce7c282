"""Vectors of length 1: what remains of vectors when only their directions count."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from .vectors import Points

if TYPE_CHECKING:
    import numpy as np


def directions(placed: Points, whose: str = "rows") -> Points:
    """The points as unit vectors; one of length 0 has no direction and is left out, with a warning."""
    import numpy as np

    lengths = np.linalg.norm(placed.vectors.astype(np.float64), axis=1)
    there = lengths > 0
    if not there.all():
        told = (
            f"{(~there).sum():,} {whose} have a vector of length 0, which has no direction; they are left out"
        )
        warnings.warn(told, UserWarning, stacklevel=2)
    return Points(unit(placed.vectors[there]), placed.rows[there])


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors at length 1: float32, divided in float64."""
    import numpy as np

    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / lengths).astype(np.float32)
