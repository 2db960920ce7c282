"""Which rows a model is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...compiler.op import Answers
from ...compiler.values import Count, Share
from ...errors import DataError

if TYPE_CHECKING:
    import polars as pl


def usable(known: Answers) -> pl.Series:
    """Positions of the rows with a prompt and a response, in order: `UInt32`."""
    import polars as pl

    told = [pl.col(name).str.strip_chars().str.len_bytes() > 0 for name in ("@prompt", "@response")]
    full = known.rows.select(pl.all_horizontal(told).fill_null(False)).to_series()
    return full.arg_true().cast(pl.UInt32)


def rows_wanted(amount: Share | Count, rows: int) -> int:
    """The amount as a number of rows, of which there is at least one."""
    wanted = amount.of(rows)
    if wanted >= 1:
        return wanted
    raise DataError(
        "E453",
        f"a warm-up on {amount} of {rows:,} rows trains on no row",
        help="ask for a larger share, or for a count such as `warmup(m, 10)`",
    )


def too_few(wanted: int, there: int, rows: int) -> DataError:
    """The error of a warm-up that asks for more rows than can be trained on."""
    return DataError(
        "E454",
        f"a warm-up on {wanted:,} rows needs as many with a prompt and a response, and there are {there:,}",
        notes=(f"{rows:,} rows were piped in",),
        help=f"ask for at most {there:,} rows, or for a share such as `warmup(m, 5%)`" if there else (),
    )


def randomly(positions: pl.Series, wanted: int, seed: int) -> pl.Series:
    """So many of the positions, each set of them equally likely, in their order."""
    import numpy as np

    drawn = np.random.default_rng(seed).choice(len(positions), wanted, replace=False)
    return positions.gather(sorted(drawn.tolist()))


def thinned(positions: list[int], wanted: int) -> list[int]:
    """At most so many of the positions, evenly spaced, so that every stretch of them loses the same part."""
    if len(positions) <= wanted:
        return positions
    return [positions[step * len(positions) // wanted] for step in range(wanted)]
