"""Choosing rows by their vectors, beside the plain way of each, with the same choice asserted.

Vectors are random points around random centres; seconds are CPU seconds, medians of the repeats, the ways taking
turns in one process.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import polars as pl
from selrun.compiler.values import Model
from selrun.runtime.answers import KnownAnswers
from selrun.stdlib.cluster.kmeans import Kmeans
from selrun.stdlib.cluster.minibatch import Minibatch
from selrun.stdlib.select.farthest import farthest_first
from selrun.stdlib.select.repr import unlike

THRESHOLD = 0.9
CLUSTERS = 100
Way = Callable[[], list[int]]


def main() -> None:
    """Print one line per kernel and size."""
    options = arguments()
    print(f"{'':44}{'plain s':>10}{'selrun s':>10}{'ratio':>9}  result")
    for rows in options.rows:
        vectors = points(rows, options.dimensions)
        size = f"{rows:,} x {options.dimensions}"
        keep = max(rows // 20, 1)
        plain, ours = (
            lambda v=vectors, k=keep: farthest_one_by_one(v, k),
            lambda v=vectors, k=keep: farthest(v, k),
        )
        show(f"k-center, {keep:,} of {size}", plain, ours, options.repeats)
        keep = max(rows // 4, 1)
        plain, ours = lambda v=vectors, k=keep: sieve_one_by_one(v, k), lambda v=vectors, k=keep: sieve(v, k)
        show(f"repr({THRESHOLD}), {keep:,} of {size}", plain, ours, options.repeats)
        show_clusters(f"kmeans({CLUSTERS}) of {size}", vectors, options.repeats)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[2_000, 10_000])
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def points(rows: int, dimensions: int) -> np.ndarray:
    """`[rows, dimensions]`, float32."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(rows // 50 + 1, dimensions))
    spread = draw.uniform(0.1, 0.6, size=(rows, 1))
    found = centres[draw.integers(len(centres), size=rows)] + spread * draw.normal(size=(rows, dimensions))
    return found.astype(np.float32)


def show(name: str, plain: Way, ours: Way, repeats: int) -> None:
    """Prints both times and that both chose the same rows in the same order."""
    times: list[list[float]] = [[], []]
    for _ in range(repeats):
        (expected, before), (chosen, after) = timed(plain), timed(ours)
        assert chosen == expected, f"{name}: another choice"
        times[0].append(before)
        times[1].append(after)
    slow, quick = map(statistics.median, times)
    print(
        f"{name:44}{slow:10.3f}{quick:10.3f}{slow / quick:8.1f}x  the same {len(chosen):,} rows", flush=True
    )


def timed(way: Callable[[], list[int]]) -> tuple[list[int], float]:
    start = time.process_time()
    return way(), time.process_time() - start


def farthest(vectors: np.ndarray, keep: int) -> list[int]:
    return farthest_first(vectors, [0], keep - 1).order


def farthest_one_by_one(vectors: np.ndarray, keep: int) -> list[int]:
    """Each next row the one farthest from all before, one pass over all rows for each."""
    wide = vectors.astype(np.float64)
    order, nearest = [0], np.full(len(wide), np.inf)
    while len(order) < keep:
        nearest = np.minimum(nearest, np.linalg.norm(wide - wide[order[-1]], axis=1))
        nearest[order] = -1
        order.append(int(nearest.argmax()))
    return order


def sieve(vectors: np.ndarray, keep: int) -> list[int]:
    return [int(row) for row in unlike(vectors, THRESHOLD, keep).taken]


def sieve_one_by_one(vectors: np.ndarray, keep: int) -> list[int]:
    """Each row against all taken before it, one product for each."""
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    chosen, taken = np.empty_like(directions), []
    for row, direction in enumerate(directions):
        if len(taken) == keep:
            break
        if not taken or (chosen[: len(taken)] @ direction).max() <= THRESHOLD:
            chosen[len(taken)] = direction
            taken.append(row)
    return taken


def show_clusters(name: str, vectors: np.ndarray, repeats: int) -> None:
    """Prints the times of both forms of k-means and how much worse the quick one fits."""
    column = pl.Series(vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))
    known = KnownAnswers(pl.DataFrame({"row": range(len(vectors))}), 0, lambda _: column)
    exact, quick = (kind(k=CLUSTERS, using=Model(key="any")) for kind in (Kmeans, Minibatch))
    times: list[list[float]] = [[], []]
    for _ in range(repeats):
        (labels, before), (rough, after) = (
            timed(lambda o=op: o.reduce(known).to_list()) for op in (exact, quick)
        )
        times[0].append(before)
        times[1].append(after)
    worse = inertia(vectors, rough) / inertia(vectors, labels)
    slow, fast = map(statistics.median, times)
    told = f"kmeans against minibatch; distances {worse - 1:+.1%}"
    print(f"{name:44}{slow:10.3f}{fast:10.3f}{slow / fast:8.1f}x  {told}", flush=True)


def inertia(vectors: np.ndarray, labels: list[int]) -> float:
    """The squared distances of all points to the mean of their cluster, added up."""
    groups = np.asarray(labels)
    parts = (vectors[groups == label] for label in np.unique(groups))
    return float(sum(((part - part.mean(axis=0)) ** 2).sum() for part in parts))


if __name__ == "__main__":
    main()
