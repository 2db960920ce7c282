"""Instruction data as frames: read from any file, written back in the same form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import polars as pl

from ..errors import DataError
from .formats import content, jsontext, shapes, tables, write
from .formats.columns import Gathering, unmarked
from .formats.keys import fingerprint, with_keys
from .formats.layout import JSON, SHAPES, BadRow, Compression, Container, Fields, Layout, Shape
from .formats.sources import HEAD, File, files, opened

__all__ = ["BadRow", "Fields", "Layout", "Rows", "kind_of", "read_rows", "write_rows"]

OnBadRow = Literal["stop", "skip"]
FIRST_ROW = re.compile(rb"\s*\[\s*\n([ \t]*)\{(\s*\n)?")


@dataclass(frozen=True)
class Rows:
    """A dataset in memory: the file's own columns, the canonical ones, and how it was written."""

    frame: pl.DataFrame
    layout: Layout
    fingerprint: str
    skipped: tuple[BadRow, ...] = ()


@dataclass(slots=True)
class Reading:
    """What has been read of a source so far."""

    gathered: Gathering = field(default_factory=Gathering)
    frames: list[pl.DataFrame] = field(default_factory=list)
    skipped: list[BadRow] = field(default_factory=list)
    form: Layout | None = None


def read_rows(
    source: str | Path | pl.DataFrame | list[dict[str, Any]],
    *,
    shape: str | None = None,
    on_bad_row: OnBadRow = "stop",
) -> Rows:
    """All rows of a file, folder, pattern, URL, frame or list."""
    name = (
        "the frame"
        if isinstance(source, pl.DataFrame)
        else "the list"
        if isinstance(source, list)
        else str(source)
    )
    reading = read(source)
    refuse_bad_rows(reading.skipped, on_bad_row)
    return finished(native_frame(reading), reading, name, known_shape(shape))


def read(source: str | Path | pl.DataFrame | list[dict[str, Any]]) -> Reading:
    if isinstance(source, pl.DataFrame):
        return Reading(frames=[marked(source)])
    reading = Reading()
    if isinstance(source, list):
        reading.gathered.add(source)
        return reading
    for file in files(source):
        read_file(file, reading)
    return reading


def marked(frame: pl.DataFrame) -> pl.DataFrame:
    return frame if "@keys" in frame.columns else unmarked(frame)


def read_file(file: File, reading: Reading) -> None:
    """Add the rows of one file."""
    with opened(file) as (stream, compression):
        head = stream.peek(HEAD)[:HEAD]
        kind = content.container(head, file.name)
        form = form_of(head, kind, compression)
        match kind:
            case "json" | "jsonl":
                stretches = jsontext.array if kind == "json" else jsontext.lines
                for rows, bad in stretches(stream, file.name):
                    reading.gathered.add(rows)
                    reading.skipped.extend(bad)
            case "csv":
                frame, between = tables.comma_separated(stream, file.name)
                reading.frames.append(frame)
                form = replace(form, separator=between)
            case "parquet":
                reading.frames.append(tables.parquet(file, stream))
    reading.form = reading.form or form


def form_of(head: bytes, kind: Container, compression: Compression | None) -> Layout:
    """The manner of writing that the first bytes show; the shape is found later."""
    escaped = kind in ("json", "jsonl") and head.isascii() and b"\\u" in head
    plain = Layout("alpaca", kind, compression, ascii=escaped)
    start = FIRST_ROW.match(head.removeprefix(content.BOM)) if kind == "json" else None
    if start is None:
        return plain
    margin = start.group(1).decode()
    if start.group(2) is None:
        return replace(plain, margin=margin)
    return replace(plain, indent=margin if margin.strip(" ") else len(margin))


def native_frame(reading: Reading) -> pl.DataFrame:
    """Everything read so far in one frame, with the marks of each row."""
    parts = list(reading.frames)
    if reading.gathered.forms or not parts:
        parts.insert(0, reading.gathered.frame())
    if len(parts) == 1:
        return parts[0]
    order = list(dict.fromkeys(name for part in parts for name in part.columns if not name.startswith("@")))
    full = [part if set(order) <= set(part.columns) else with_absent(part) for part in parts]
    return pl.concat(full, how="diagonal_relaxed")


def with_absent(part: pl.DataFrame) -> pl.DataFrame:
    """The part with its own columns noted on each row, because other files have more."""
    own = pl.lit([name for name in part.columns if not name.startswith("@")], dtype=pl.List(pl.String))
    return part.with_columns(pl.col("@keys").fill_null(own))


def refuse_bad_rows(bad: Sequence[BadRow], on_bad_row: OnBadRow) -> None:
    if not bad or on_bad_row == "skip":
        return
    first = bad[0]
    where = f"line {first.line} of `{first.source}`"
    more = len(bad) - 1
    raise DataError(
        "E504",
        f"{where} is not a row" + (f", nor are {more} more" if more else ""),
        notes=[f"{row.source}:{row.line}: {row.reason}" for row in bad[:5]],
        help=f"correct the {'line' if not more else 'lines'}, or leave {'it' if not more else 'them'} out "
        "with `--on-bad-row skip`",
    )


def known_shape(shape: str | None) -> Shape | None:
    if shape is None or shape in SHAPES:
        return cast(Shape | None, shape)
    raise DataError(
        "E514", f"no shape of rows is called `{shape}`", help=f"write one of: {', '.join(SHAPES)}"
    )


def finished(native: pl.DataFrame, reading: Reading, name: str, wanted: Shape | None) -> Rows:
    """The rows with their canonical columns and names."""
    own = tuple(column for column in native.columns if column not in ("@keys", "@ints"))
    if native.is_empty():
        raise DataError("E507", f"`{name}` has no rows", help="name a file that holds at least one row")
    refuse_marked(own, name)
    shape, fields = shapes.recognise(native, name, wanted)
    frame = with_keys(shapes.canonical(native, fields))
    if wanted is None:
        refuse_unanswerable(frame, fields, name)
    layout = replace(reading.form or Layout(shape), shape=shape, columns=own, fields=fields)
    covered = fields.named if fields.turns is None else ()
    return Rows(frame, layout, fingerprint(frame, covered), tuple(reading.skipped))


def refuse_marked(own: Sequence[str], name: str) -> None:
    if taken := [column for column in own if column.startswith("@")]:
        raise DataError(
            "E508",
            f"`{name}` has a column that begins with `@`: `{taken[0]}`",
            help=f"rename the column, for example to `{taken[0].lstrip('@') or 'at'}`",
        )


def refuse_unanswerable(frame: pl.DataFrame, fields: Fields, name: str) -> None:
    """Stop where no row has a prompt, or none a response."""
    for part in ("prompt", "response"):
        if frame[f"@{part}"].null_count() == frame.height:
            raise DataError(
                "E512",
                f"no row of `{name}` has a {part}",
                notes=[f"it was looked for in {', '.join(f'`{column}`' for column in fields.named)}"],
                help="fill the column, or rename the one that holds it",
            )


def kind_of(dtype: pl.DataType) -> str:
    """The recipe language's word for a column type."""
    if dtype == JSON:
        return "any"
    if dtype.is_numeric():
        return "number"
    if dtype == pl.Boolean:
        return "bool"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    return "list" if isinstance(dtype, pl.List | pl.Array) else "any"


def write_rows(
    frame: pl.DataFrame,
    layout: Layout,
    target: Path | str,
    *,
    shape: str | None = None,
    scores: Sequence[str] = (),
) -> None:
    """Write the rows with their scores, whole or not at all."""
    form = write.layout_for(layout, target)
    wanted = known_shape(shape)
    if wanted is not None and wanted != layout.shape:
        frame, form = write.reshaped(frame, form, wanted)
    write.save(write.columns_of(frame, form, scores), form, scores, target)
