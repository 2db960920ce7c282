"""Vectors in the directions in which they differ most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...compiler.op import Answers, Embed
from ...compiler.values import Count, Expression, Share
from ...errors import DataError
from .vectors import Points, points

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


class Pca(Embed):
    """The row's vector in the principal components of all rows' vectors; null without a vector.

    A share keeps the fewest components that hold so much of the variance, as CaR does with 95 % (Ge et al.,
    2024, arXiv 2402.18191, section 3.2); a count keeps so many, as InstructionGPT-4 does with 6 (Wei et
    al., 2023, arXiv 2308.12067). The components are those of the rows piped in: other rows, other numbers.
    """

    noun = "pca"
    positional = ("keep",)
    rowwise = False
    paper = "https://arxiv.org/abs/2402.18191"
    example = """
        load "examples/tasks.jsonl"
        | embed using nano as place
        | embed pca(95%) by place as short
        | cluster kmeans(4) by short as part
        | sample 1 per part
    """

    keep: Share | Count
    """How much of the variance is kept, or how many components."""
    by: Expression
    """The column of vectors."""

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        placed = points(known.evaluate(self.by))
        reduced = self._reduced(placed)
        rows = pl.DataFrame({"row": placed.rows, "vector": reduced}, schema_overrides={"row": pl.Int64})
        every = pl.select(pl.int_range(known.rows.height, dtype=pl.Int64).alias("row"))
        return every.join(rows, on="row", how="left", maintain_order="left")["vector"]

    def _reduced(self, placed: Points) -> np.ndarray:
        """`[points, components]`, float32."""
        import numpy as np
        from sklearn.decomposition import PCA

        wanted, most = self._components(), min(placed.vectors.shape)
        if len(placed) < 2 or (isinstance(wanted, int) and wanted > most):
            raise self._too_many(placed, most)
        with np.errstate(invalid="ignore"):  # Equal vectors have no variance to have a share of.
            reduced = PCA(wanted, random_state=0).fit_transform(placed.vectors)
        return np.ascontiguousarray(reduced, dtype=np.float32)

    def _components(self) -> int | float | None:
        """A number of components, a share of the variance, or all of it."""
        if isinstance(self.keep, Count):
            return self.keep.rows
        return float(self.keep.fraction) if self.keep.fraction < 1 else None

    def _too_many(self, placed: Points, most: int) -> DataError:
        dimensions = placed.vectors.shape[1]
        return DataError(
            "E570",
            f"pca({self.keep}) of {len(placed):,} vectors of {dimensions} numbers has at most {most} components",
            help=f"ask for fewer, such as `pca({most})`"
            if most > 1
            else "give it at least two rows with a vector",
        )
