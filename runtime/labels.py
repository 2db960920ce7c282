"""Clusters are found once: the same operation over the same rows and answers gives the labels of the last time."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from ..compiler.op import Answers, Cluster
from .store import Store

KIND = "labels"
FILE = "labels.parquet"


def labelled(
    store: Store,
    op: Cluster,
    title: str,
    known: Answers,
    passes: dict[str, str],
    make: Callable[[], pl.Series],
) -> pl.Series:
    """The labels that `make` gives, or gave before; `passes` are the pass keys of the operation's requests."""
    key = labels_key(op, known, passes)
    if folder := store.artefact(KIND, key):
        return pl.read_parquet(folder / FILE)["label"]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        labels = make()
    for warning in told:
        warnings.warn(warning.message, warning.category, stacklevel=2)
    if not told:
        store.publish(KIND, key, lambda draft: write(labels, draft), {"label": title})
    return labels


def labels_key(op: Cluster, known: Answers, passes: dict[str, str]) -> str:
    """All that determines the labels: the operation, the rows in order, and which answers there are."""
    parts = [op.content(), digest(known.rows["@key"])]
    parts += [f"{key} {digest(known[name].is_null())}" for name, key in sorted(passes.items())]
    parts += [f"{name} {digest(known.column(name))}" for name in sorted(op.reads())]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def digest(column: pl.Series) -> str:
    """A hash of a column's type and values."""
    found = hashlib.sha256(str(column.dtype).encode())
    for piece in pieces(column):
        found.update(piece)
    return found.hexdigest()


def pieces(column: pl.Series, rows: int = 10_000) -> Iterator[bytes]:
    """The values as Arrow writes them, some rows at a time."""
    for start in range(0, len(column), rows):
        part = column.slice(start, rows).rename("").to_frame().rechunk()
        target = part.write_ipc(None, compression="uncompressed")
        yield target.getvalue()


def write(labels: pl.Series, folder: Path) -> None:
    labels.rename("label").to_frame().write_parquet(folder / FILE)
