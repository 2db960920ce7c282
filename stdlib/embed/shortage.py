"""What to say where fewer rows have a vector than are needed."""

from __future__ import annotations

from ...errors import DataError


def counted(placed: int, rows: int) -> str:
    """How many rows have a vector: `12`, or `12 with a vector, of 20`."""
    return f"{rows:,}" if placed == rows else f"{placed:,} with a vector, of {rows:,}"


def too_few(needed: str, placed: int, rows: int, *, advice: str) -> DataError:
    """The error of fewer rows than clusters or bins; `needed` says who needs how many."""
    return DataError("E520", f"{needed}, and there are {counted(placed, rows)}", help=advice)
