"""How many rows a choice is asked for, and what to say where that is none of them or more than there are."""

from __future__ import annotations

from ...compiler.values import Amount
from ...errors import DataError


def rows_wanted(keep: Amount, rows: int) -> int:
    """How many of the rows are asked for, 0 of none alone. Raises DataError E521 where that is no row of some."""
    wanted = keep.of(rows)
    if rows and not wanted:
        raise no_row(keep, rows)
    return wanted


def no_row(keep: Amount, rows: int) -> DataError:
    """The error of asking for no row."""
    return DataError("E521", f"{keep} of {rows:,} rows is no row", help="ask for a larger share")


def too_many(call: str, wanted: int, there: int, what: str = "a vector") -> DataError:
    """The error of asking for more rows than have what the choice looks at."""
    return DataError(
        "E522",
        f"{call} needs {wanted:,} rows with {what}, and there are {there:,}",
        help=f"ask for no more than {there:,} rows",
    )
