"""Vectors of rows: the request that asks for them, and the matrix they make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...compiler.expression import physical
from ...compiler.op import Request
from ...compiler.templates import BARE
from ...compiler.values import Model
from ...compiler.wants import Embedding, Hidden, Pool, Span, Template, View
from ...errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

TEXT_COLUMNS: dict[Span, tuple[str, ...]] = {
    "prompt": ("@prompt",),
    "response": ("@response",),
    "whole": ("@prompt", "@response"),
}


def vectors_of(
    model: Model, of: Span, template: Template, *, limit: int | None = None, pool: Pool = "mean"
) -> Request:
    """One vector a row: a sentence encoder's own, or a language model's last hidden states pooled over the
    part.

    An encoder reads the plain text; a language model reads it in the template, responses after their prompt.
    """
    if model.kind == "encoder":
        return Request(model, View(BARE, limit=limit, text=TEXT_COLUMNS[of]), Embedding())
    parts = ("prompt",) if of == "prompt" else ("prompt", "response")
    return Request(model, View(template, parts, limit), Hidden(-1, pool, of))


def closed_vectors_of(model: Model, template: Template, *, limit: int, pool: Pool) -> Request:
    """One vector a row over its text as LLaMA's training scripts write it: one text that ends with `</s>`.

    The scripts tokenise it at once and cut its end.
    """
    closed = replace(template, reply="{response}</s>")
    return Request(
        model, View(closed, limit=limit, seam="joint", start="tokenizer"), Hidden(-1, pool, "whole")
    )


@dataclass(frozen=True, slots=True)
class Points:
    """The rows that have a vector of finite numbers."""

    vectors: np.ndarray
    """`[points, dimensions]`, float32."""
    rows: np.ndarray
    """Each point's position among all rows, ascending."""

    def __len__(self) -> int:
        return len(self.rows)

    def among(self, rows: int) -> np.ndarray:
        """`[rows]`: which of all rows have a vector."""
        import numpy as np

        return np.isin(np.arange(rows), self.rows)


def points(column: pl.Series) -> Points:
    """The finite vectors of a column; rows with null, NaN, infinity or nothing in place of one are left out."""
    import numpy as np

    rows = column.is_not_null().arg_true().to_numpy()
    matrix = _matrix(column, column.drop_nulls())
    usable = np.isfinite(matrix).all(axis=1) & bool(matrix.shape[1])
    if not usable.all():
        matrix, rows = matrix[usable], rows[usable]
    return Points(np.ascontiguousarray(matrix), rows.astype(np.int64))


def column_in(rows: pl.DataFrame, name: str, where: str) -> pl.Series:
    """The column of another dataset's rows that a recipe calls so. Raises DataError E559 where there is none."""
    if physical(name) in rows.columns:
        return rows[physical(name)].alias(name)
    raise DataError(
        "E559",
        f"{where} has no column `{name}`",
        help="name a column of vectors that both datasets have, or add `using` and a model",
    )


def _matrix(column: pl.Series, present: pl.Series) -> np.ndarray:
    """`[rows, dimensions]`, float32."""
    import numpy as np
    import polars as pl

    kind = present.dtype
    if not isinstance(kind, pl.Array | pl.List) or not kind.inner.is_numeric():  # type: ignore[union-attr]
        raise _not_vectors(column, f"it holds {kind if len(present) else 'no value'}")
    if isinstance(kind, pl.Array):
        return present.cast(pl.Array(pl.Float32, kind.size)).to_numpy().reshape(len(present), kind.size)
    lengths = present.list.len().unique().sort()
    if len(lengths) > 1:
        raise _not_vectors(column, f"its lists have {lengths[0]} to {lengths[-1]} numbers")
    numbers = present.explode(empty_as_null=False).cast(pl.Float32).fill_null(float("nan")).to_numpy()
    return numbers.reshape(len(present), lengths[0] if len(lengths) else 0).astype(np.float32)


def _not_vectors(column: pl.Series, fact: str) -> DataError:
    return DataError(
        "E523",
        f"the column `{column.name}` does not hold vectors of one length: {fact}",
        help="name a column of lists of numbers that are equally long, such as one that `embed` added",
    )
