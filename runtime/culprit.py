"""Which row an operation fails on, found by giving it fewer and fewer rows."""

from __future__ import annotations

import polars as pl

from ..compiler.op import Adds
from .answers import KnownAnswers

OWN_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)
"""What a mistake in an operation raises."""


def failing_row(op: Adds, known: KnownAnswers) -> int | None:
    """The position of a row that makes a row-wise operation fail by itself; `None` where no single one does."""
    start, stop = 0, known.rows.height
    if not op.rowwise or not fails(op, known.part(start, stop)):
        return None
    while stop - start > 1:
        middle = (start + stop) // 2
        if fails(op, known.part(start, middle)):
            stop = middle
        elif fails(op, known.part(middle, stop)):
            start = middle
        else:
            return None
    return start


def fails(op: Adds, known: KnownAnswers) -> bool:
    try:
        op.reduce(known)
    except OWN_ERRORS:
        return True
    return False
