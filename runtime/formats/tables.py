"""Rows from CSV and Parquet files."""

from __future__ import annotations

import csv
import io

import polars as pl

from ...errors import DataError
from .columns import unmarked
from .content import separator
from .jsontext import decoded
from .sources import File, Stream, damaged

WHOLE = r"^(0|-?[1-9][0-9]{0,17})$"


def parquet(file: File, stream: Stream) -> pl.DataFrame:
    """The columns of a Parquet file with their own types."""
    try:
        frame = pl.read_parquet(stream if file.local is None else file.local, glob=False)
    except pl.exceptions.PolarsError as error:
        raise damaged(file.name, str(error)) from error
    return unmarked(frame)


def comma_separated(stream: Stream, name: str) -> tuple[pl.DataFrame, str]:
    """The columns of a CSV file and its separator; a column is numeric where its text can be had back."""
    text = decoded(stream.read(), name)
    between = separator(text.split("\n", 1)[0])
    try:
        frame = pl.read_csv(text.encode(), separator=between, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise ragged(text, between, name, error) from error
    return unmarked(frame.select(numeric(frame[column]) for column in frame.columns)), between


def numeric(texts: pl.Series) -> pl.Series:
    """Whole numbers where every text is the one way to write its number, else the numbers with a fraction."""
    if texts.null_count() == len(texts):
        return texts
    if texts.str.contains(WHOLE).all():
        return texts.cast(pl.Int64)
    numbers = texts.cast(pl.Float64, strict=False)
    exact = (numbers.is_finite() & (numbers.cast(pl.String) == texts)).fill_null(False)
    return numbers if (exact | texts.is_null()).all() else texts


def ragged(text: str, between: str, name: str, error: Exception) -> DataError:
    """The error for a CSV file with rows that do not fit its header."""
    reader = csv.reader(io.StringIO(text), delimiter=between)
    width = len(next(reader))
    long = [(reader.line_num, len(cells)) for cells in reader if len(cells) > width]
    notes = [f"line {line} has {cells} cells, the header has {width}" for line, cells in long[:3]]
    return DataError(
        "E511",
        f"{len(long) or 'some'} rows of `{name}` do not fit its header",
        notes=notes or [str(error)],
        help='put a cell that holds the separator, a quote or a line end in quotes: `"…"`',
    )
