"""What is known about the form of a dataset, so that it can be written in the same form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import polars as pl

Shape = Literal["alpaca", "sharegpt", "messages", "prompt", "plain"]
SHAPES: tuple[Shape, ...] = ("alpaca", "sharegpt", "messages", "prompt", "plain")
Container = Literal["json", "jsonl", "csv", "parquet"]
Compression = Literal["gz", "zst"]

JSON = pl.Struct({"@json": pl.String})
"""The type of a column whose values no plain type holds exactly: each is its own JSON text."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read."""

    source: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Fields:
    """Which of the file's columns carry the parts of an exchange."""

    instruction: str | None = None
    input: str | None = None
    response: str | None = None
    system: str | None = None
    history: str | None = None
    turns: str | None = None
    role: str = "role"
    content: str = "content"

    @property
    def named(self) -> tuple[str, ...]:
        """The columns that carry a part, in the order of the parts."""
        parts = (self.turns, self.system, self.history, self.instruction, self.input, self.response)
        return tuple(name for name in parts if name is not None)


@dataclass(frozen=True, slots=True)
class Layout:
    """The form that a dataset was read in."""

    shape: Shape
    container: Container = "jsonl"
    compression: Compression | None = None
    columns: tuple[str, ...] = ()
    fields: Fields = field(default_factory=Fields)
    indent: int | str | None = None
    """Of a JSON array: what one level is indented by; nothing means no row is spread over lines."""
    margin: str | None = None
    """Of a JSON array with one row per line: what stands before each; nothing means all rows in one line."""
    ascii: bool = False
    """JSON texts are written with escapes for every letter outside ASCII."""
    separator: str = ","
    """Of a CSV: what stands between two cells."""
