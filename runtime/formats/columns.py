"""Typed columns from JSON objects, such that every object can be written again exactly."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from .layout import JSON

EXACT_FLOAT = 2**53
EXACT_INTEGER = 2**63
PLAIN: dict[type, pl.DataType] = {
    str: pl.String(),
    bool: pl.Boolean(),
    int: pl.Int64(),
    float: pl.Float64(),
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one column; `whole` marks the numbers that were written without a fraction."""

    values: pl.Series
    whole: pl.Series | None = None


def piece(values: list[Any]) -> Piece:
    """The values as the narrowest type that holds every one of them exactly."""
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return Piece(pl.Series(values, dtype=pl.Null))
    if kinds == {int, float} and all(type(v) is not int or abs(v) <= EXACT_FLOAT for v in values):
        whole = pl.Series([type(v) is int for v in values])
        return Piece(pl.Series(values, dtype=pl.Float64, strict=False), whole)
    dtype = common_type(kinds, values)
    return Piece(json_series(values) if dtype is None else pl.Series(values, dtype=dtype))


def common_type(kinds: set[type], values: Iterable[Any]) -> pl.DataType | None:
    """The plain or list type of all values; nothing where only their JSON text is exact."""
    if len(kinds) != 1:
        return None
    kind = next(iter(kinds))
    if kind is list:
        return list_type([item for value in values if value is not None for item in value])
    if kind is int and not all(v is None or -EXACT_INTEGER <= v < EXACT_INTEGER for v in values):
        return None
    return PLAIN.get(kind)


def list_type(items: list[Any]) -> pl.DataType | None:
    kinds = set(map(type, items)) - {type(None)}
    if not kinds:
        return pl.List(pl.String)
    inner = None if list in kinds else common_type(kinds, items)
    return None if inner is None else pl.List(inner)


def json_series(values: Iterable[Any]) -> pl.Series:
    """Every value as its own JSON text; null stays null."""
    return wrap_json(pl.Series([None if v is None else compact(v) for v in values], dtype=pl.String))


def wrap_json(texts: pl.Series) -> pl.Series:
    wrapped = pl.when(pl.col("@json").is_not_null()).then(pl.struct("@json"))
    return texts.alias("@json").to_frame().select(wrapped.alias("values")).to_series()


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def joined(pieces: Sequence[Piece]) -> Piece:
    """The stretches as one column of the narrowest common type."""
    kinds = {p.values.dtype for p in pieces} - {pl.Null()}
    if kinds == {pl.Int64(), pl.Float64()}:
        return joined_numbers(pieces)
    if len(kinds) > 1:
        return Piece(pl.concat([as_json(p) for p in pieces]))
    dtype = kinds.pop() if kinds else pl.String()
    values = pl.concat([p.values.cast(dtype) if p.values.dtype == pl.Null else p.values for p in pieces])
    if all(p.whole is None for p in pieces):
        return Piece(values)
    return Piece(values, pl.concat([wholeness(p) for p in pieces]))


def joined_numbers(pieces: Sequence[Piece]) -> Piece:
    integers = [p.values for p in pieces if p.values.dtype == pl.Int64]
    if any((v.abs() > EXACT_FLOAT).any() or (v == -EXACT_INTEGER).any() for v in integers):
        return Piece(pl.concat([as_json(p) for p in pieces]))
    values = pl.concat([p.values.cast(pl.Float64) for p in pieces])
    return Piece(values, pl.concat([wholeness(p) for p in pieces]))


def wholeness(part: Piece) -> pl.Series:
    if part.whole is not None:
        return part.whole
    if part.values.dtype == pl.Int64:
        return part.values.is_not_null()
    return pl.repeat(False, len(part.values), eager=True)


def as_json(part: Piece) -> pl.Series:
    if part.values.dtype == JSON:
        return part.values
    if part.values.dtype == pl.Null:
        return wrap_json(part.values.cast(pl.String))
    values = part.values.to_list()
    if part.whole is not None:
        values = [int(v) if w else v for v, w in zip(values, part.whole, strict=True)]
    return json_series(values)


@dataclass(slots=True)
class Gathering:
    """Objects on their way into columns, a stretch at a time."""

    pieces: dict[str, list[Piece]] = field(default_factory=dict)
    forms: list[tuple[str, ...]] = field(default_factory=list)
    known: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Take one stretch of rows."""
        fresh = list(map(tuple, rows))
        for form in dict.fromkeys(fresh):
            self.known.setdefault(form, form)
        for name in dict.fromkeys(name for form in self.known for name in form):
            stretch = piece([row.get(name) for row in rows])
            self.pieces.setdefault(name, self.before()).append(stretch)
        self.forms.extend(map(self.known.__getitem__, fresh))

    def before(self) -> list[Piece]:
        """The nulls of a column that no earlier row had."""
        return [Piece(pl.Series([None] * len(self.forms), dtype=pl.Null))] if self.forms else []

    def frame(self) -> pl.DataFrame:
        """All rows; `@keys` and `@ints` hold what the columns cannot say about a row."""
        if not self.pieces:
            return with_marks(pl.DataFrame({"@keys": [None] * len(self.forms)}).drop("@keys"), self.forms, {})
        columns = {name: joined(pieces) for name, pieces in self.pieces.items()}
        frame = pl.DataFrame({name: part.values for name, part in columns.items()})
        whole = {name: part.whole for name, part in columns.items() if part.whole is not None}
        return with_marks(frame, self.forms, whole)


def with_marks(
    frame: pl.DataFrame, forms: Sequence[tuple[str, ...]], whole: dict[str, pl.Series]
) -> pl.DataFrame:
    full = tuple(frame.columns)
    keys = pl.Series("@keys", [None if form == full else form for form in forms], dtype=pl.List(pl.String))
    return frame.with_columns(keys, whole_marks(len(forms), whole))


def whole_marks(height: int, whole: dict[str, pl.Series]) -> pl.Series:
    if not whole:
        return pl.Series("@ints", [None] * height, dtype=pl.List(pl.String))
    rows = zip(*whole.values(), strict=True)
    names = [[name for name, mark in zip(whole, marks, strict=True) if mark] or None for marks in rows]
    return pl.Series("@ints", names, dtype=pl.List(pl.String))


def unmarked(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with marks that say: every row has every column."""
    none = pl.lit(None, dtype=pl.List(pl.String))
    return frame.with_columns(none.alias("@keys"), none.alias("@ints"))
