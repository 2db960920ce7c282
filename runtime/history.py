"""The history of every row of a run: its scores, its marks, and the step at which it went."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ..compiler.core import Load
from .durable import write_whole

if TYPE_CHECKING:
    from .execute import Execution, Step

DROPPED = pl.List(pl.Struct({"step": pl.Int64, "title": pl.String, "reason": pl.String}))


def steps_of(run: Execution, output: str) -> list[tuple[str, Step]]:
    """The steps that led to an output, in the order they ran, by the key of their node."""
    import networkx as nx

    needed = {output, *nx.ancestors(run.plan.graph.digraph, output)}
    return [(key, step) for key, step in run.steps.items() if key in needed]


def history(run: Execution, output: str) -> pl.DataFrame:
    """One line for each row that was read on the way to the output."""
    steps = steps_of(run, output)
    frame = _read_rows(run, [key for key, _ in steps])
    for number, (key, step) in enumerate(steps, start=1):
        if key in run.added:
            frame = _joined(frame, run.added[key])
        if step.marks is not None:
            marks = {name: f"step {number}: {name}" for name in step.marks.columns if name != "@id"}
            frame = _joined(frame, step.marks.rename(marks))
    frame = _joined(frame, _positions(run.frames[output]))
    frame = frame.with_columns(kept=pl.col("position").is_not_null()).join(
        _dropped(steps), on="@id", how="left", maintain_order="left"
    )
    return _with_bystanders(frame, _of_sources(run, output))


def _of_sources(run: Execution, output: str) -> pl.Series:
    """The ids of the rows that could have come into the output."""
    waiting, sources = [output], {}
    while waiting:
        key = waiting.pop()
        if key in run.inputs:
            sources[key] = run.inputs[key].frame["@id"]
        waiting += [need for need in run.plan.graph.rows_from(key) if need not in sources]
    return pl.concat(list(sources.values()))


def _with_bystanders(frame: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    """Rows that were only read to be compared with say so."""
    told = pl.struct(
        step=pl.lit(None, pl.Int64),
        title=pl.lit(None, pl.String),
        reason=pl.lit("read only to compare others with"),
    )
    other = pl.col("dropped").is_null() & ~pl.col("kept") & ~pl.col("@id").is_in(ids.implode())
    return frame.with_columns(pl.when(other).then(pl.concat_list(told)).otherwise("dropped").alias("dropped"))


def _read_rows(run: Execution, keys: list[str]) -> pl.DataFrame:
    """The identity of all rows that were read, each once."""
    parts = []
    for key in keys:
        if isinstance(run.plan.graph[key].op, Load):
            frame = run.inputs[key].frame
            own = (
                pl.col("id").cast(pl.String, strict=False)
                if _has_plain_id(frame)
                else pl.lit(None, pl.String)
            )
            parts.append(frame.select("@row", "@id", own.alias("own_id")))
    return pl.concat(parts).unique("@id", keep="first", maintain_order=True)


def _has_plain_id(frame: pl.DataFrame) -> bool:
    return "id" in frame.columns and not frame.schema["id"].is_nested()


def _positions(result: pl.DataFrame) -> pl.DataFrame:
    return result.select("@id").with_row_index("position", offset=1)


def _joined(frame: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """The frame with the columns of another one; a column known twice keeps what is not null."""
    again = [name for name in more.columns if name in frame.columns and name != "@id"]
    joined = frame.join(
        more.unique("@id", keep="first"), on="@id", how="left", maintain_order="left", suffix=" again"
    )
    joined = joined.with_columns(pl.coalesce(f"{name} again", name).alias(name) for name in again)
    return joined.drop(f"{name} again" for name in again)


def _dropped(steps: list[tuple[str, Step]]) -> pl.DataFrame:
    parts = [
        step.dropped.select(
            "@id",
            pl.struct(step=pl.lit(number, pl.Int64), title=pl.lit(step.title), reason="reason").alias(
                "dropped"
            ),
        )
        for number, (_, step) in enumerate(steps, start=1)
        if step.dropped is not None and step.dropped.height
    ]
    if not parts:
        return pl.DataFrame(schema={"@id": pl.String, "dropped": DROPPED})
    return pl.concat(parts).group_by("@id", maintain_order=True).agg("dropped")


def write_history(frame: pl.DataFrame, path: Path) -> None:
    """The history as a Parquet file, whole or not at all."""
    buffer = BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    write_whole(path, buffer.getbuffer())
