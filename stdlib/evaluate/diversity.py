"""How diverse the rows are that a selection left, beside those it began with."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from ...compiler.op import Answers, Evaluate, Request
from ...compiler.values import Data, Expression
from ...errors import DataError
from ..embed.directions import directions
from ..embed.placing import PlacingBy
from ..embed.vectors import Points, column_in, points
from . import measures
from .novelty import Weighing, different, novelties

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


class Diversity(PlacingBy, Evaluate):
    """How diverse the rows are, before and after the choices made so far; the rows go on as they are.

    `before` are the rows that the chain began with, or those of `against`; `after` those at this point. Of
    their vectors: the Vendi score (effective number of different rows; Friedman and Dieng, 2023), the mean
    cosine similarity of all pairs, the radius (geometric mean of the dimensions' standard deviations), log
    det of the matrix of similarities, the entropy of the shares of k-means clusters (found before) and the
    mean squared distance to their centres, NovelSum (arXiv 2502.17184), and the mean distance of the rows
    before to the nearest row after. All but the radius are of unit vectors. No matrix of all pairs is made.

    With `faithful = true` radius and NovelSum are those of OpenDataArena's scripts, where a dimension without
    spread counts 1e-10 and rows weigh by their own density; by default such dimensions are left out, and
    neighbours' densities count, as the paper writes.
    """

    noun = "diversity"
    positional = ("clusters",)
    random = True
    paper = "https://arxiv.org/abs/2210.02410"
    default_model = "minilm"
    example = 'load "examples/tasks.jsonl" | sample 20% | evaluate diversity using nano'

    clusters: int = Field(10, ge=1)
    """Into how many clusters the rows before are divided."""
    against: Data | None = None
    """The rows to compare with; those that the chain began with where not given."""
    neighbours: int = Field(10, ge=1)
    """Of NovelSum: over how many neighbours densities are taken."""
    pairs_up_to: int = 10_000
    """NovelSum compares every pair of rows; of a larger set it is not computed."""
    faithful: bool = False
    """Radius and NovelSum as OpenDataArena's scripts compute them."""
    seed: int = 0

    @model_validator(mode="after")
    def _names_a_column(self) -> Diversity:
        if self.given_vectors is not None and self.given_vectors.name is None:
            raise ValueError(f"takes one column of vectors, not `{self.given_vectors.text}`")
        return self

    def requests(self) -> dict[str, Request]:
        after = self.vector()
        if after is None:
            return {}
        return (
            {"after": after}
            if self.against is None
            else {"before": replace(after, of=self.against), "after": after}
        )

    def report(self, known: Answers) -> dict[str, Any]:
        sets = {name: Placed.of(column) for name, column in self._columns(known)}
        _tell_of_rows_without_vectors(sets)
        first = sets.get("before", sets["after"])
        partition = self._partition(first)
        found = {name: asdict(self._measured(placed, first, partition)) for name, placed in sets.items()}
        report: dict[str, Any] = {
            measure: {name: found[name][measure] for name in sets} for measure in found["after"]
        }
        if "before" in sets:
            report["facility_distance"] = _facility_distance(first, sets["after"])
        return report

    def _columns(self, known: Answers) -> Iterator[tuple[str, pl.Series]]:
        by = self.given_vectors
        if self.against is not None:
            yield "before", known["before"] if by is None else self._before(known, by, self.against)
        yield "after", known["after"] if by is None else known.evaluate(by)

    def _before(self, known: Answers, by: Expression, against: Data) -> pl.Series:
        return column_in(known.dataset(against), by.name or by.text, against.label or "the other dataset")

    def _partition(self, placed: Placed) -> measures.Partition:
        from sklearn.cluster import KMeans

        if len(placed) < self.clusters:
            raise DataError(
                "E520",
                f"{self.clusters:,} clusters need {self.clusters:,} rows, and there are {len(placed):,} with a vector",
                help=f"ask for fewer clusters, such as `diversity({max(1, len(placed) // 10)})`",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = KMeans(self.clusters, random_state=self.seed).fit(placed.directions)
        return measures.Partition(fit.cluster_centers_)

    def _measured(self, placed: Placed, reference: Placed, partition: measures.Partition) -> Measured:
        """Every measure of one set of rows; none of a set without vectors."""
        lacking = placed.rows - len(placed)
        if not len(placed):
            return Measured(placed.rows, lacking)
        labels, away = partition.places(placed.directions)
        return Measured(
            rows=placed.rows,
            without_vector=lacking,
            vendi=measures.vendi(placed.directions),
            mean_similarity=measures.mean_similarity(placed.directions),
            radius=measures.radius(placed.vectors, floor=self.faithful),
            log_det=measures.log_det(placed.directions),
            partition_entropy=measures.entropy(labels),
            cluster_inertia=float(away.mean()),
            novelsum=self._novelsum(placed.directions, reference.directions),
        )

    def _novelsum(self, rows: np.ndarray, reference: np.ndarray) -> float | None:
        if not 1 < len(rows) <= self.pairs_up_to or len(different(reference)) <= self.neighbours:
            return None
        weighing = Weighing(self.neighbours, published=self.faithful)
        return float(novelties(rows, reference, weighing).mean())


@dataclass(frozen=True)
class Measured:
    """What is told of one set of rows."""

    rows: int
    without_vector: int
    vendi: float | None = None
    mean_similarity: float | None = None
    radius: float | None = None
    log_det: float | None = None
    partition_entropy: float | None = None
    cluster_inertia: float | None = None
    novelsum: float | None = None


@dataclass(frozen=True)
class Placed:
    """A set of rows: how many, and those of them that have a vector with a direction."""

    rows: int
    vectors: np.ndarray
    directions: np.ndarray

    @classmethod
    def of(cls, column: pl.Series) -> Placed:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            placed = points(column)
            pointed = directions(placed)
        return cls(len(column), _those(placed, pointed), pointed.vectors)

    def __len__(self) -> int:
        return len(self.directions)


def _those(placed: Points, pointed: Points) -> np.ndarray:
    import numpy as np

    return placed.vectors[np.isin(placed.rows, pointed.rows)]


def _tell_of_rows_without_vectors(sets: Mapping[str, Placed]) -> None:
    for name, placed in sets.items():
        if lacking := placed.rows - len(placed):
            told = f"{lacking:,} of the {placed.rows:,} rows {name} have no vector; they are left out"
            warnings.warn(told, UserWarning, stacklevel=3)


def _facility_distance(before: Placed, after: Placed) -> float | None:
    if not len(after):
        return None
    return float(measures.facility_distances(before.directions, after.directions).mean())
