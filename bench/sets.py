"""Reports about large sets and choices among many rows: seconds and memory, each in a process of its own.

Where the plain way of the same is feasible, the result is compared with it on the first rows of the same data.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context

import numpy as np
from scipy.sparse import csr_array
from selrun.stdlib.embed.directions import unit
from selrun.stdlib.evaluate import measures
from selrun.stdlib.evaluate.novelty import Weighing, novelties
from selrun.stdlib.select.information import membership, most_informative, propagation
from selrun.stdlib.select.tags import complexity_first
from selrun.stdlib.select.turns import in_turns

LIMIT = 4.0
"""GB of memory at most."""
FEW = 400
"""Rows of the comparison with the plain way."""


def main() -> None:
    """Print one line per measure and choice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dimensions", type=int, default=384)
    options = parser.parse_args()
    print(f"{options.rows:,} vectors of {options.dimensions} numbers; limit of memory {LIMIT} GB")
    print(f"{'':44}{'s':>8}{'peak GB':>9}")
    for name in WORK:
        with get_context("spawn").Pool(1) as pool:
            seconds, peak = pool.apply(measured, (name, options.rows, options.dimensions))
        print(f"{name:44}{seconds:8.2f}{peak:9.2f}{'' if peak < LIMIT else '  TOO MUCH'}", flush=True)


def measured(name: str, rows: int, dimensions: int) -> tuple[float, float]:
    """Seconds and the largest memory of the process in GB."""
    ours, plain = WORK[name]
    few = ours(points(FEW, dimensions))
    assert plain is None or np.allclose(few, plain(points(FEW, dimensions)), rtol=1e-4), name
    vectors = points(rows, dimensions)
    start = time.perf_counter()
    ours(vectors)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return seconds, peak / 1e9


def points(rows: int, dimensions: int) -> np.ndarray:
    """Unit vectors around one centre for every fifty rows."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(rows // 50 + 1, dimensions)).astype(np.float32)
    noise = draw.standard_normal((rows, dimensions), dtype=np.float32)
    return unit(centres[draw.integers(len(centres), size=rows)] + 0.5 * noise)


def plain_vendi(vectors: np.ndarray) -> float:
    shares = np.linalg.eigvalsh(vectors.astype(np.float64) @ vectors.T / len(vectors))
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def plain_log_det(vectors: np.ndarray) -> float:
    alike = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    return float(np.linalg.slogdet(alike + 1e-10 * np.eye(len(alike)))[1])


def plain_mean(vectors: np.ndarray) -> float:
    alike = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    return float((alike.sum() - np.trace(alike)) / (len(alike) * (len(alike) - 1)))


def nearest(vectors: np.ndarray) -> np.ndarray:
    """Distances to the sixth neighbour, as `score knn(6)` finds them."""
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=6, algorithm="brute").fit(vectors).kneighbors()[0][:, -1]


def plain_nearest(vectors: np.ndarray) -> np.ndarray:
    wide = vectors.astype(np.float64)
    return np.array([np.sort(np.linalg.norm(wide - row, axis=1))[6] for row in wide])


def like_targets(vectors: np.ndarray) -> list[int]:
    """A twentieth of the rows, by a hundred examples in turn."""
    return in_turns(vectors, points(100, vectors.shape[1]), len(vectors) // 20).order


def plain_like_targets(vectors: np.ndarray) -> list[int]:
    likes = np.argsort(-(points(100, vectors.shape[1]) @ vectors.T), axis=1, kind="stable")
    order: list[int] = []
    while len(order) < len(vectors) // 20:
        order.append(next(int(row) for row in likes[len(order) % 100] if row not in order))
    return order


def tags_of(rows: int) -> list[frozenset[str]]:
    """Up to eight tags a row, few of them frequent."""
    draw = np.random.default_rng(1)
    counts = draw.integers(0, 9, size=rows)
    numbers = iter((draw.pareto(0.6, size=counts.sum()) % 6_400).astype(int).tolist())
    return [frozenset(f"t{next(numbers)}" for _ in range(count)) for count in counts]


def by_tags(vectors: np.ndarray) -> list[int]:
    return complexity_first(tags_of(len(vectors)), len(vectors) // 20).order


def by_information(vectors: np.ndarray) -> list[int]:
    """A twentieth of the rows, by scores and tags."""
    tags = tags_of(len(vectors))
    vocabulary = sorted(frozenset().union(*tags))
    shared = membership(tags, vocabulary, np.random.default_rng(2).random(len(tags)), norm=False)
    spread = propagation(csr_array(np.eye(len(vocabulary))))
    return most_informative(csr_array(shared @ spread), len(tags) // 20, worth).order


def worth(x: float) -> float:
    return 0.8 * (x + 1e-6) ** -0.2


Way = Callable[[np.ndarray], object]
WORK: dict[str, tuple[Way, Way | None]] = {
    "Vendi score": (measures.vendi, plain_vendi),
    "log det": (measures.log_det, plain_log_det),
    "mean similarity": (measures.mean_similarity, plain_mean),
    "radius": (measures.radius, None),
    "facility distance to a twentieth": (
        lambda v: measures.facility_distances(v, v[: len(v) // 20]).mean(),
        None,
    ),
    "score knn(6)": (nearest, plain_nearest),
    "diversify rds, 100 examples": (like_targets, plain_like_targets),
    "diversify tags": (by_tags, None),
    "diversify mig": (by_information, None),
    "NovelSum of 10,000 rows at most": (lambda v: novelties(v[:10_000], v[:10_000], Weighing()), None),
}


if __name__ == "__main__":
    main()
