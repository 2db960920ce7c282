"""Choosing rows by their vectors, beside the authors' kind of loop, with the same choice asserted.

Vectors are random unit vectors around random centres. Seconds are CPU seconds, medians of the repeats, both ways taking
turns in one process; peak memory is that of a process that does nothing but make the vectors and choose.
`--scale target` are the sizes that the ratios are meant for, `--scale large` is 200,000 rows without the loops.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from selrun.compiler.values import Count, Model
from selrun.runtime.answers import KnownAnswers
from selrun.stdlib.cluster.kmeans import Kmeans
from selrun.stdlib.cluster.minibatch import Minibatch
from selrun.stdlib.embed.directions import unit
from selrun.stdlib.select.facility import Facility
from selrun.stdlib.select.farthest import farthest_first
from selrun.stdlib.select.graphcut import graph_cut_bins
from selrun.stdlib.select.repr import unlike
from selrun.stdlib.select.semdedup import Semdedup
from sklearn.metrics import pairwise_distances

THRESHOLD = 0.9
BINS = 10
MODEL = Model(key="any")
Way = Callable[[np.ndarray, int], list[int]]
HEADINGS = ("kernel", "rows", "keep", "loop s", "selrun s", "ratio", "peak GB", "choice")
WIDTHS = (42, 9, 8, 9, 9, 8, 8, 14)


@dataclass(frozen=True)
class Kernel:
    """One way of choosing and the loop that it is compared with."""

    name: str
    loop: Way
    ours: Way
    sizes: dict[str, tuple[int, int]]
    """By scale, how many rows there are and how many are chosen."""


def main() -> None:
    """Print one line per kernel."""
    options = arguments()
    if options.measure is not None:
        print(json.dumps(measured(KERNELS[options.measure], options)))
        return
    print("".join(head.ljust(width) for head, width in zip(HEADINGS, WIDTHS, strict=True)))
    for number, kernel in enumerate(KERNELS):
        if options.kernel in kernel.name:
            show(number, kernel, options)
    if options.kernel in "minibatch":
        show_clusters(*CLUSTERED[options.scale], options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=["small", "target", "large"], default="small")
    parser.add_argument("--kernel", default="", help="only kernels whose name holds this")
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--measure", type=int)
    return parser.parse_args()


def points(rows: int, dimensions: int) -> np.ndarray:
    """`[rows, dimensions]`, float32, at length 1."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(rows // 50 + 1, dimensions)).astype(np.float32)
    spread = draw.uniform(0.1, 0.6, size=(rows, 1)).astype(np.float32)
    found = draw.standard_normal(size=(rows, dimensions), dtype=np.float32) * spread
    found += centres[draw.integers(len(centres), size=rows)]
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def show(number: int, kernel: Kernel, options: argparse.Namespace) -> None:
    """Prints both times and that both chose the same rows in the same order."""
    rows, keep = kernel.sizes[options.scale]
    times: list[tuple[float, float]] = []
    for _ in range(0 if options.scale == "large" else options.repeats):
        vectors = points(rows, options.dimensions)
        (expected, before), (chosen, after) = (
            timed(kernel.loop, vectors, keep),
            timed(kernel.ours, vectors, keep),
        )
        assert chosen == expected, f"{kernel.name}: another choice"
        times.append((before, after))
    alone = child(number, options)
    slow, quick = (
        (statistics.median(each) for each in zip(*times, strict=True)) if times else (None, alone["seconds"])
    )
    cells = [f"{rows:,}", f"{keep:,}", "" if slow is None else f"{slow:.2f}", f"{quick:.2f}"]
    cells += ["" if slow is None else f"{slow / quick:.1f}x", f"{alone['peak']:.2f}"]
    told = "not compared" if slow is None else "the same"
    print("".join(c.ljust(w) for c, w in zip([kernel.name, *cells, told], WIDTHS, strict=True)), flush=True)


def timed(way: Way, vectors: np.ndarray, keep: int) -> tuple[list[int], float]:
    start = time.process_time()
    return way(vectors, keep), time.process_time() - start


def child(number: int, options: argparse.Namespace) -> dict[str, float]:
    """What `measured` says in a process of its own."""
    shape = ["--scale", options.scale, "--dimensions", str(options.dimensions)]
    command = [sys.executable, __file__, "--measure", str(number), *shape]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measured(kernel: Kernel, options: argparse.Namespace) -> dict[str, float]:
    rows, keep = kernel.sizes[options.scale]
    _, seconds = timed(kernel.ours, points(rows, options.dimensions), keep)
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


# k-center


def farthest(vectors: np.ndarray, keep: int) -> list[int]:
    return farthest_first(vectors, [0], keep - 1).order


def farthest_by_column(vectors: np.ndarray, keep: int) -> list[int]:
    """Each next row the farthest from all before: the distances to the last one anew, in numpy."""
    wide = vectors.astype(np.float64)

    def distances(row: int) -> np.ndarray:
        away = wide - wide[row]
        return np.sqrt(np.einsum("ij,ij->i", away, away).astype(np.float32))

    return farthest_from(distances, keep)


def farthest_by_pairs(vectors: np.ndarray, keep: int) -> list[int]:
    """The same with the distances of scikit-learn, as in MoDS."""
    return farthest_from(lambda row: pairwise_distances(vectors, vectors[[row]])[:, 0], keep)


def farthest_from(distances: Callable[[int], np.ndarray], keep: int) -> list[int]:
    order, nearest = [0], distances(0)
    nearest[0] = -1
    while len(order) < keep:
        order.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, distances(order[-1]))
        nearest[order] = -1
    return order


# DEITA's filter


def sieve(vectors: np.ndarray, keep: int) -> list[int]:
    return [int(row) for row in unlike(vectors, THRESHOLD, keep).taken]


def sieve_one_by_one(vectors: np.ndarray, keep: int) -> list[int]:
    """Each row against all taken before it, which are gathered and brought to length 1 for each."""
    import torch

    torch.set_num_threads(1)
    taken: list[int] = []
    for row in range(len(vectors)):
        if len(taken) == keep:
            break
        before = torch.nn.functional.normalize(torch.tensor(vectors[taken]), dim=1)
        one = torch.nn.functional.normalize(torch.tensor(vectors[row : row + 1]), dim=1)
        if not torch.any(one @ before.T > THRESHOLD):
            taken.append(row)
    return taken


# Facility location


def cover(vectors: np.ndarray, keep: int) -> list[int]:
    op = Facility(keep=Count(rows=keep), using=MODEL)
    return op.pick(known(vectors)).order.to_list()


def cover_greedily(vectors: np.ndarray, keep: int) -> list[int]:
    """What every row adds is summed anew for every row chosen, over a table of all pairs."""
    wide = unit(vectors).astype(np.float64)
    alike = (wide @ wide.T).astype(np.float32)
    order = [int(alike.sum(axis=1, dtype=np.float64).argmax())]
    reached = alike[order[0]]
    while len(order) < keep:
        added = np.maximum(alike - reached, 0).sum(axis=1, dtype=np.float64)
        added[order] = -1
        order.append(int(added.argmax()))
        reached = np.maximum(reached, alike[order[-1]])
    return order


# Dataset Quantization's bins


def bins(vectors: np.ndarray, keep: int) -> list[int]:
    sizes = [len(vectors) // keep] * keep
    return np.concatenate(graph_cut_bins(vectors, sizes)).tolist()


def bins_by_sums(vectors: np.ndarray, keep: int) -> list[int]:
    """All similarities to the bin are summed anew for every row that it takes, as the authors do."""
    left, found = np.arange(len(vectors)), []
    for _ in range(keep):
        wide = vectors[left].astype(np.float64)
        alike = (wide @ wide.T).astype(np.float32)
        every, taken = alike.sum(axis=0), np.zeros(len(left), dtype=bool)
        for _ in range(len(vectors) // keep):
            gain = every[~taken] - 2 * alike[np.ix_(taken, ~taken)].sum(axis=0)
            taken[np.flatnonzero(~taken)[gain.argmax()]] = True
        found += left[taken].tolist()
        left = left[~taken]
    return found


# Near duplicates and clusters


def unique(vectors: np.ndarray, keep: int) -> list[int]:
    return Semdedup(eps=0.1, k=keep, using=MODEL).pick(known(vectors)).order.to_list()


def unique_by_tables(vectors: np.ndarray, keep: int) -> list[int]:
    """The upper triangle of all similarities in each cluster."""
    from sklearn.cluster import MiniBatchKMeans

    labels = MiniBatchKMeans(keep, n_init=1, random_state=0).fit_predict(vectors)
    gone: list[np.ndarray] = []
    for label in range(keep):
        rows = np.flatnonzero(labels == label)
        if not len(rows):
            continue
        part = vectors[rows]
        standing = (part @ part.mean(axis=0)).round(6).argsort(kind="stable")
        alike = np.triu(part[standing] @ part[standing].T, k=1).max(axis=0)
        gone.append(rows[standing[alike > 0.9]])
    return np.setdiff1d(np.arange(len(vectors)), np.concatenate(gone)).tolist()


def known(vectors: np.ndarray) -> KnownAnswers:
    column = pl.Series("place", vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))
    rows = pl.DataFrame({"@id": pl.int_range(len(vectors), eager=True).cast(pl.String)})
    return KnownAnswers(rows, 0, lambda _: column)


def show_clusters(rows: int, k: int, options: argparse.Namespace) -> None:
    """Prints the times of k-means and of its mini-batch form, and how much worse that one fits."""
    vectors = points(rows, options.dimensions)
    ops = (Kmeans(k=k, using=MODEL), Minibatch(k=k, using=MODEL))
    ways = [lambda v, _, op=op: op.reduce(known(v)).to_list() for op in ops]
    (labels, slow), (rough, quick) = (timed(way, vectors, k) for way in ways)
    worse = inertia(vectors, rough) / inertia(vectors, labels) - 1
    cells = ["minibatch, k-means of all rows", f"{rows:,}", f"{k:,}", f"{slow:.2f}", f"{quick:.2f}"]
    cells += [f"{slow / quick:.1f}x", "", f"{worse:+.1%} inertia"]
    print("".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)), flush=True)


def inertia(vectors: np.ndarray, labels: list[int]) -> float:
    """The squared distances of all points to the mean of their cluster, added up."""
    groups = np.asarray(labels)
    parts = (vectors[groups == label] for label in np.unique(groups))
    return float(sum(((part - part.mean(axis=0)) ** 2).sum() for part in parts))


CLUSTERED = {"small": (5000, 50), "target": (50_000, 100), "large": (200_000, 100)}
KERNELS = [
    Kernel(
        "kcenter, numpy distances by column",
        farthest_by_column,
        farthest,
        {"small": (3000, 150), "target": (50_000, 1000), "large": (200_000, 1000)},
    ),
    Kernel(
        "kcenter, scikit-learn distances by column",
        farthest_by_pairs,
        farthest,
        {"small": (3000, 150), "target": (50_000, 1000), "large": (200_000, 1000)},
    ),
    Kernel(
        f"repr({THRESHOLD}), row against all taken",
        sieve_one_by_one,
        sieve,
        {"small": (3000, 600), "target": (50_000, 3000), "large": (200_000, 20_000)},
    ),
    Kernel(
        "facility, plain greedy on a table",
        cover_greedily,
        cover,
        {"small": (1000, 100), "target": (5000, 500), "large": (200_000, 100)},
    ),
    Kernel(
        "bins, similarities summed anew",
        bins_by_sums,
        bins,
        {"small": (1500, BINS), "target": (5000, BINS), "large": (200_000, BINS)},
    ),
    Kernel(
        "semdedup, a table for each cluster",
        unique_by_tables,
        unique,
        {"small": (2000, 20), "target": (50_000, 100), "large": (200_000, 100)},
    ),
]


if __name__ == "__main__":
    main()
