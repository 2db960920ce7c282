"""The typed values that the parameters of an operation take."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, model_serializer

from ..dsl import tree

ModelKind = Literal["causal", "encoder", "seq2seq", "classifier", "ranker", "vision", "api", "unknown"]


class Value(BaseModel):
    """A frozen value; equal by content."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True)


class Share(Value):
    """A part of the rows, `5%` or `0.05`."""

    fraction: Decimal

    def of(self, rows: int) -> int:
        """⌊share · rows⌋ in exact decimal arithmetic."""
        return int(self.fraction * rows)

    def __str__(self) -> str:
        return f"{(self.fraction * 100).normalize():f}%"


class Count(Value):
    """A number of rows, `100` or `10k`."""

    rows: int

    def of(self, rows: int) -> int:
        """The count itself, however many rows there are."""
        return self.rows

    def __str__(self) -> str:
        return str(self.rows)


Amount: TypeAlias = Share | Count


class Money(Value):
    """US dollars, `$5`."""

    dollars: Decimal


class Model(Value):
    """A reference to the node of the graph that gives a model."""

    key: str
    label: str = ""
    """As the recipe calls it; not part of any key."""
    kind: ModelKind = "unknown"
    chat: bool = False
    """Its tokenizer has a chat template; known from its files, and no part of any key."""
    separate: bool = False
    """The labels of its head do not exclude each other; known from its files, and no part of any key."""
    parameters: int | None = None
    """How many parameters its files say it has; no part of any key."""

    @model_serializer
    def _content(self) -> str:
        return self.key


class Data(Value):
    """A reference to the node of the graph that gives a dataset."""

    key: str
    label: str = ""

    @model_serializer
    def _content(self) -> str:
        return self.key


class Expression(Value):
    """A checked expression over the columns of a row."""

    tree: Any
    """The expression's tree, a `dsl.tree` node."""
    text: str
    """Its canonical form; what keys and messages show."""
    columns: frozenset[str] = frozenset()
    """The columns it reads."""
    rowwise: bool = True
    """False when it looks at the whole dataset (`z`, `rank`, `minmax`, `mean`)."""
    better: Literal["high", "low"] = "high"
    """Which end is the best one, where the expression is a single column whose scorer says so."""

    @model_serializer
    def _content(self) -> str:
        return f"{self.text} {self.better}"

    @property
    def name(self) -> str | None:
        """The column, when the expression is nothing but one."""
        return self.tree.text if isinstance(self.tree, tree.Name) else None
