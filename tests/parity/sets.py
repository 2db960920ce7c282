"""Measures of sets and distances to neighbours, against OpenDataArena's scorers on given vectors."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
from selrun.compiler.values import Expression
from selrun.stdlib.embed.directions import unit
from selrun.stdlib.evaluate import measures
from selrun.stdlib.score.knn import Knn
from selrun.stdlib.score.novelsum import Novelsum
from selrun.stdlib.select.turns import in_turns

from .claim import Compared, claim, golden

SOURCE = "golden/setwise_diversity.json"
PLACE = Expression.model_validate({"tree": None, "text": "place", "columns": {"place"}})


class Placed:
    """Rows that have vectors and nothing else."""

    def __init__(self, vectors: np.ndarray):
        self.rows = pl.DataFrame({"place": vectors})

    def evaluate(self, expression: Expression) -> pl.Series:
        return self.rows[expression.text]


def given() -> dict[str, np.ndarray]:
    return dict(np.load(golden("setwise_diversity_inputs.npz")))


def theirs(scorer: str) -> Any:
    return json.loads(golden("setwise_diversity.json").read_text())["fields"][scorer]["result"]


@claim("evaluate diversity: mean similarity", source=SOURCE, tolerance=1e-6)
def mean_similarity() -> Compared:
    return Compared([measures.mean_similarity(given()["embedding"])], [theirs("ApsScorer_cosine")["score"]])


@claim("evaluate diversity: radius", source=SOURCE, tolerance=1e-6)
def radius() -> Compared:
    ours = measures.radius(given()["embedding"], floor=True)
    return Compared([ours], [theirs("RadiusScorer")["radius"]])


@claim("evaluate diversity: facility distance", source=SOURCE, tolerance=1e-5)
def facility() -> Compared:
    result, vectors = theirs("FacilityLocationScorer_euclidean"), given()
    away = measures.facility_distances(vectors["embedding"], vectors["subset"])
    found = [away.sum(), away.mean(), away.max(), np.median(away), away.std()]
    names = ("facility_location_score", "avg_min_distance", "max_min_distance", "median_min_distance")
    return Compared(found, [*(result[name] for name in names), result["std_min_distance"]])


@claim("evaluate diversity: cluster inertia", source=SOURCE, tolerance=1e-6)
def inertia() -> Compared:
    vectors = given()
    centres, labels = vectors["centroids"], vectors["labels"]
    squared = measures.inertias(vectors["embedding"], centres, labels)
    cosine = measures.inertias(unit(vectors["embedding"]), unit(centres), labels) / 2
    found = [by_cluster(each, labels) for each in (squared, cosine)]
    scorers = (theirs(f"ClusterInertiaScorer_{name}") for name in ("squared_euclidean", "cosine"))
    return Compared(found, [[*r["cluster_inertias"].values(), r["total_inertia"]] for r in scorers])


def by_cluster(inertias: np.ndarray, labels: np.ndarray) -> list[float]:
    return [*(float(inertias[labels == label].sum()) for label in np.unique(labels)), float(inertias.sum())]


@claim("evaluate diversity: Vendi score", source="own re-implementation on all pairs", tolerance=1e-9)
def vendi() -> Compared:
    rows = np.random.default_rng(0).normal(size=(40, 7)).astype(np.float32)
    sets = [unit(rows), unit(rows[:5])]
    return Compared([measures.vendi(x, q) for x in sets for q in ORDERS], [plain_vendi(x) for x in sets])


ORDERS = (1.0, 0.5, 2.0, float("inf"))


def plain_vendi(directions: np.ndarray) -> list[float]:
    wide = directions.astype(np.float64)
    shares = np.linalg.eigvalsh(wide @ wide.T / len(wide))
    shares = shares[shares > 1e-12]
    entropies = [-(shares * np.log(shares)).sum()]
    entropies += [np.log((shares**q).sum()) / (1 - q) for q in ORDERS[1:3]]
    return [float(np.exp(h)) for h in [*entropies, -np.log(shares.max())]]


@claim("evaluate diversity: log-det", source="own re-implementation on all pairs", tolerance=1e-6)
def log_det() -> Compared:
    rows = np.random.default_rng(1).normal(size=(12, 12)).astype(np.float32)
    sets = [unit(rows), unit(rows[:5])]
    pairs = [x.astype(np.float64) @ x.astype(np.float64).T for x in sets]
    return Compared(
        [measures.log_det(x) for x in sets],
        [float(np.linalg.slogdet(k + 1e-10 * np.eye(len(k)))[1]) for k in pairs],
    )


@claim("score knn", source=SOURCE, tolerance=1e-6)
def knn() -> Compared:
    ours = Knn(k=5, take="mean", by=PLACE).reduce(Placed(given()["embedding"]))  # type: ignore[arg-type]
    return Compared(ours.to_list(), [row["score"] for row in theirs("KNNScorer_euclidean")])


@claim("score novelsum", source=SOURCE, tolerance=1e-6)
def novelsum() -> Compared:
    result = theirs("NovelSumScorer")
    settings = [(n, p, q) for n in (5, 10) for p in (0, 0.25, 0.5) for q in (0, 1, 2)]
    return Compared(
        [of_set(*setting, faithful=True) for setting in settings],
        [result[f"neighbor_{n}_density_{p}_distance_{q}"] for n, p, q in settings],
        [of_set(*setting, faithful=False) for setting in settings],
    )


def of_set(neighbours: int, density: float, nearness: float, *, faithful: bool) -> float:
    op = Novelsum(neighbours=neighbours, density=density, nearness=nearness, by=PLACE, faithful=faithful)
    mean = op.reduce(Placed(given()["embedding"])).mean()  # type: ignore[arg-type]
    assert isinstance(mean, float)
    return mean


@claim("diversify rds", source="own re-implementation over whole lists")
def rds() -> Compared:
    draw = np.random.default_rng(2)
    rows, targets = (unit(draw.normal(size=(n, 8)).astype(np.float32)) for n in (500, 9))
    likes = [list(np.argsort(-(rows @ target), kind="stable")) for target in targets]
    theirs: list[int] = []
    for turn in range(200):
        theirs.append(next(row for row in likes[turn % 9] if row not in theirs))
    return Compared(in_turns(rows, targets, 200).order, [int(row) for row in theirs])
