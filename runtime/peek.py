"""The columns of a file, cheaply: from its beginning, without a library for tables.

What cannot be told so (a folder, a pattern, a URL, rows of different forms in a long file) stays unknown.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..compiler.facts import Columns, SchemaOf, Unavailable
from ..compiler.schema import Column, Kind
from .nearby import nearby_files

HEAD = 1 << 20
"""Characters that are looked at."""
SEPARATORS = ",\t;"
UNREADABLE = (OSError, EOFError, ValueError, RecursionError, zlib.error, csv.Error)


def peek(question: SchemaOf) -> Columns | Unavailable | None:
    """The columns of a local file, that there is none, or `None` where that takes more than a look."""
    source = question.source
    if "://" in source or source.startswith("hub:") or any(letter in source for letter in "*?["):
        return None
    path = Path(os.path.expanduser(source))
    if not os.path.exists(path):
        return Unavailable("E501", f"no file is at `{path}`", (nearby_files(path),))
    if not path.is_file():
        return None
    try:
        return look(path)
    except UNREADABLE:
        return None


def look(path: Path) -> Columns | None:
    """What the beginning of a file shows; errors in it are for the reading to tell."""
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PAR1":
        return parquet_columns(path)
    text, whole = head(path, start)
    first = text.lstrip()[:1]
    if first in ("{", "["):
        return json_columns(list(records(text)), whole)
    return comma_columns(text, path)


def head(path: Path, start: bytes) -> tuple[str, bool]:
    """The first characters of a file after decompression, and whether they are all of it."""
    with opened(path, start) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig").read(HEAD + 1)
    return text[:HEAD], len(text) <= HEAD


def opened(path: Path, start: bytes) -> Any:
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(path, "rb")
    if start == b"\x28\xb5\x2f\xfd":
        return io.BytesIO(unpacked(path))
    return path.open("rb")


def unpacked(path: Path) -> bytes:
    """The first bytes of a zstd file's content, as many as the characters looked at can have."""
    import zstandard

    try:
        with zstandard.open(path, "rb") as file:
            return file.read(4 * (HEAD + 1))
    except zstandard.ZstdError as error:
        raise EOFError(str(error)) from error


def records(text: str) -> Iterator[dict[str, Any]]:
    """The objects of a JSON array or of JSON lines; the last one may be cut off."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except ValueError:
            return
        yield found
        at = text.find("{", end)


def json_columns(rows: list[dict[str, Any]], whole: bool) -> Columns | None:
    """All keys of the rows; nothing where a long file's first rows differ, since later ones may again."""
    if not rows or (not whole and any(row.keys() != rows[0].keys() for row in rows)):
        return None
    names = dict.fromkeys(name for row in rows for name in row)
    columns = tuple(Column(name, kind_of([row.get(name) for row in rows]), "file") for name in names)
    return Columns(columns, len(rows) if whole else None)


def kind_of(values: list[Any]) -> Kind:
    """What all values are that are not null; `any` where they differ."""
    kinds: set[Kind] = {one_kind(value) for value in values if value is not None}
    return kinds.pop() if len(kinds) == 1 else "any"


def one_kind(value: Any) -> Kind:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case _:
            return "any"


def comma_columns(text: str, path: Path) -> Columns | None:
    line = text.split("\n", 1)[0]
    separator = max(SEPARATORS, key=line.count)
    if separator not in line or not {".csv", ".tsv"} & set(path.suffixes):
        return None
    names = next(csv.reader([line], delimiter=separator))
    return Columns(tuple(Column(name.strip(), "any", "file") for name in names))


def parquet_columns(path: Path) -> Columns | None:
    """The columns of a Parquet file, from its end; the only form that takes a library."""
    import polars as pl

    try:
        names = pl.read_parquet_schema(path)
    except pl.exceptions.PolarsError:
        return None
    return Columns(tuple(Column(name, parquet_kind(kind), "file") for name, kind in names.items()))


def parquet_kind(kind: Any) -> Kind:
    import polars as pl

    if kind.is_numeric():
        return "number"
    if kind == pl.Boolean:
        return "bool"
    if kind == pl.String:
        return "text"
    return "list" if isinstance(kind, pl.List | pl.Array) else "any"
