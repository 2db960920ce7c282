"""Parts of a sweep's rows that are computed and stored in one go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import polars as pl

from . import durable


@dataclass(frozen=True, slots=True)
class InMemory:
    """Rows that the shard carries itself; for work in the driver's own process."""

    frame: pl.DataFrame

    def rows(self, start: int, stop: int) -> pl.DataFrame:
        """The rows from `start` up to `stop`."""
        return self.frame[start:stop]


@dataclass(frozen=True, slots=True)
class InFile:
    """Rows of a Parquet file, so that no text passes between driver and workers."""

    path: Path

    def rows(self, start: int, stop: int) -> pl.DataFrame:
        """The rows from `start` up to `stop`."""
        return pl.scan_parquet(self.path).slice(start, stop - start).collect()


Source: TypeAlias = InMemory | InFile


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive rows of a source; `number` tells shards of one sweep apart."""

    number: int
    source: Source
    start: int
    stop: int

    def frame(self) -> pl.DataFrame:
        """The shard's rows."""
        return self.source.rows(self.start, self.stop)


@dataclass(frozen=True, slots=True)
class ShardDone:
    """What is known of a finished shard; its answers are in the store."""

    number: int
    rows: int
    tokens: int
    seconds: float
    failed: int = 0
    facts: Mapping[str, float | int | str] = field(default_factory=dict)


def share(frame: pl.DataFrame, file: Path | None) -> Source:
    """The frame as a source: in memory, or written to a Parquet file for workers in other processes."""
    if file is None:
        return InMemory(frame)
    durable.make_folder(file.parent)
    try:
        frame.write_parquet(file, compression="lz4")
    except OSError as error:
        raise durable.unwritable(file, error) from error
    return InFile(file)


def cut(source: Source, weights: pl.Series, limit: float) -> list[Shard]:
    """Shards that cover the rows in order, each of at most `limit` by weight, or of one heavier row.

    One weight per row: its tokens, or 1 where rows are to be counted.
    """
    edges = list(_edges(weights, limit))
    return [Shard(number, source, *edge) for number, edge in enumerate(edges)]


def _edges(weights: pl.Series, limit: float) -> Iterator[tuple[int, int]]:
    start, total = 0, 0.0
    for at, weight in enumerate(weights):
        if total + weight > limit and at > start:
            yield start, at
            start, total = at, 0.0
        total += weight
    if start < len(weights):
        yield start, len(weights)
