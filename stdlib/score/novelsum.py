"""How new a row is among the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Score
from ...errors import DataError
from ..embed.placing import PlacingBy
from ..evaluate.novelty import Weighing, different, novelties
from .knn import fewer_neighbours

if TYPE_CHECKING:
    import polars as pl


class Novelsum(PlacingBy, Score):
    """How far the row is from the others, above all from near ones and from those in dense places.

    The weighted mean over all other rows j of `density(j)^p · cosine distance`, the neighbour of rank r by
    distance weighing `1 / r^q` (Yang et al., 2025, arXiv 2502.17184, as a mean and not a sum);
    the mean over the rows is the set's NovelSum, which `evaluate diversity` reports. The density of a row
    is one over the mean squared distance to its nearest different rows. Every pair of rows is compared.

    `faithful = true`: as the authors' script, which multiplies by the density of the row itself and counts
    the row as its own first neighbour; the default takes the neighbours' densities, as the paper writes, and
    leaves the row itself out.
    """

    noun = "novelsum"
    positional = ("neighbours",)
    rowwise = False
    paper = "https://arxiv.org/abs/2502.17184"
    default_model = "minilm"
    range = "0 and above"
    missing = "rows without a vector, or with one of length 0"
    conversations = (
        "last: the last prompt, or what `of` names; a language model reads everything before it too"
    )
    example = 'load "examples/tasks.jsonl" | score novelsum using nano | top 5 by novelsum'

    neighbours: int = Field(10, ge=1)
    """The density of a row is taken over so many neighbours."""
    density: float = Field(0.5, ge=0)
    """The exponent p of the density; 0 leaves density out."""
    nearness: float = Field(1.0, ge=0)
    """The exponent q of the rank; 0 counts near and far rows alike."""
    faithful: bool = False
    """Weigh by the row's own density and count the row among its neighbours, as the authors' script does."""

    def reduce(self, known: Answers) -> pl.Series:
        import numpy as np
        import polars as pl

        placed = self.directed(known)
        if (distinct := len(different(placed.vectors))) <= self.neighbours:
            raise self._too_few(distinct)
        weighing = Weighing(self.neighbours, self.density, self.nearness, self.faithful)
        scores = np.full(known.rows.height, np.nan)
        scores[placed.rows] = novelties(placed.vectors, placed.vectors, weighing)
        return pl.Series(scores).fill_nan(None)

    def _too_few(self, distinct: int) -> DataError:
        return DataError(
            "E555",
            f"densities over {self.neighbours:,} neighbours need {self.neighbours + 1:,} different vectors, "
            f"and there are {distinct:,}",
            help=fewer_neighbours("novelsum", distinct),
        )
