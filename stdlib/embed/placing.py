"""What operations on the vectors of rows have in common: where the vectors come from."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import model_validator

from ...compiler.op import Answers, Op, Request
from ...compiler.templates import ALPACA
from ...compiler.values import Expression, Model
from ...compiler.wants import Pool, Template
from ...errors import DataError
from .directions import directions
from .vectors import Points, points, vectors_of


class Placing(Op):
    """An operation that looks at a vector for every row."""

    vectors_in: ClassVar[tuple[str, ...]] = ("vectors",)

    using: Model | None = None
    """The sentence encoder or language model that gives the vectors."""
    of: Literal["prompt", "response", "whole"] = "prompt"
    """Which part of the row the model reads."""
    template: Template = ALPACA
    """How a language model is shown the row."""
    vectors: Expression | None = None
    """A column of vectors in place of a model's."""

    @model_validator(mode="before")
    @classmethod
    def _asks_no_model_in_vain(cls, fields: dict[str, Any]) -> dict[str, Any]:
        given = [name for name in cls.vectors_in if fields.get(name) is not None]
        if len(given) > 1:
            raise ValueError("takes one column of vectors: name it with `by` or with `vectors =`")
        return {**fields, "using": None} if given else fields

    @model_validator(mode="after")
    def _has_vectors(self) -> Placing:
        if self.using is None and self.given_vectors is None:
            word = "`by`" if "by" in self.vectors_in else "`vectors =`"
            raise ValueError(f"needs vectors: add `using` and a model, or {word} and a column of vectors")
        return self

    @property
    def given_vectors(self) -> Expression | None:
        """The column of vectors that the recipe names."""
        return next((given for name in self.vectors_in if (given := getattr(self, name)) is not None), None)

    def requests(self) -> dict[str, Request]:
        vector = self.vector()
        return {} if vector is None else {"vector": vector}

    def vector(self, *, limit: int | None = None, pool: Pool = "mean") -> Request | None:
        """The request for a vector of every row; none where a column is named."""
        if self.given_vectors is not None or self.using is None:
            return None
        return vectors_of(self.using, self.of, self.template, limit=limit, pool=pool)

    def placed(self, known: Answers) -> Points:
        """The rows that have a vector of finite numbers. Raises DataError E554 where none has."""
        column = self.given_vectors
        vectors = known["vector"] if column is None else known.evaluate(column).alias(column.text)
        return self._some(points(vectors), known, "a vector of finite numbers")

    def directed(self, known: Answers) -> Points:
        """The same at length 1, without those of length 0. Raises DataError E554 where none is left."""
        return self._some(directions(self.placed(known)), known, "a vector of a length above 0")

    def _some(self, found: Points, known: Answers, what: str) -> Points:
        rows = known.rows.height
        if len(found) or not rows:
            return found
        column = self.given_vectors
        where = "the model gave none" if column is None else f"`{column.text}` holds none"
        raise DataError(
            "E554", f"none of the {rows:,} rows has {what}: {where}", help="name another column or model"
        )


class PlacingBy(Placing):
    """An operation that looks at vectors and orders the rows by nothing, so that `by` names their column too."""

    vectors_in: ClassVar[tuple[str, ...]] = ("by", "vectors")

    by: Expression | None = None
    """Another word for `vectors`."""
