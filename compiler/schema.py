"""Which columns a dataset has at a point of a recipe."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..dsl.tree import Span

Kind = Literal["text", "number", "bool", "list", "vector", "label", "any"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it holds and where it comes from."""

    name: str
    kind: Kind = "any"
    origin: Literal["row", "file", "step"] = "step"
    """`row`: every dataset has it; `file`: the file brought it; `step`: a step of the recipe added it."""
    better: Literal["high", "low"] | None = None
    """Of a score: which end is the best one."""
    span: Span | None = field(default=None, compare=False, repr=False)
    """Where the recipe writes the step that adds it."""


ROW_COLUMNS = (
    Column("id", "text", "row"),
    Column("prompt", "text", "row"),
    Column("response", "text", "row"),
    Column("instruction", "text", "row"),
    Column("input", "text", "row"),
    Column("system", "text", "row"),
    Column("history", "list", "row"),
)


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns in order, and how the rows are marked."""

    columns: tuple[Column, ...] = ROW_COLUMNS
    open: bool = True
    """The file has not been seen: it may have more columns than these."""
    spread: str | None = None
    """The label column over which the next `top`, `bottom` or `sample` spreads its choice."""

    def get(self, name: str) -> Column | None:
        """The column of that name; the latest where a step wrote it again."""
        return next((c for c in reversed(self.columns) if c.name == name), None)

    def plus(self, *columns: Column) -> Schema:
        """The schema with these columns added or replaced."""
        names = {c.name for c in columns}
        kept = tuple(c for c in self.columns if c.name not in names)
        return replace(self, columns=kept + columns)

    def with_columns_of(self, other: Schema) -> Schema:
        """The schema with the columns that another one has besides."""
        more = (column for column in other.columns if self.get(column.name) is None)
        return replace(self.plus(*more), open=self.open or other.open)

    @property
    def names(self) -> tuple[str, ...]:
        """What a recipe can name; hidden marks left out."""
        return tuple(c.name for c in self.columns if not c.name.startswith("@"))

    @property
    def scores(self) -> tuple[Column, ...]:
        """The scores in scope, in the order they were added."""
        return tuple(c for c in self.columns if c.better is not None)

    def without_spread(self) -> Schema:
        return replace(self, spread=None)
