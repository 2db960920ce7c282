"""Rows that are read after each row of a pass: named by what they hold, so that answers outlive the plan."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import polars as pl

from ..compiler.plan import Ask, Sweep
from ..compiler.values import Data
from ..compiler.wants import Continued, Want

Beside: TypeAlias = Mapping[str, pl.DataFrame]
"""Datasets by their key in the wants that name them."""


def settled(want: Want, frames: Beside) -> Want:
    """The want as it is stored: its anchors are named by their content in place of their node."""
    if not isinstance(want, Continued):
        return want
    return replace(want, anchors=Data(key=content(frames[want.anchors.key])))


def content(frame: pl.DataFrame) -> str:
    """One name for all datasets of the same rows in the same order: 32 hex characters."""
    return hashlib.sha256("\n".join(frame["@key"]).encode()).hexdigest()[:32]


def settled_sweep(task: Sweep, frames: Beside) -> Sweep:
    """The sweep with its wants as they are stored."""
    asks = (Ask(ask.view, settled(ask.want, frames), settled(ask.read, frames)) for ask in task.asks)
    return replace(task, asks=tuple(asks)) if task.beside else task


def beside_of(task: Sweep, frames: Beside) -> Beside:
    """The canonical columns of what is read after each row, by content."""
    return {content(frames[key]): frames[key].select(pl.col("^@.*$")) for key in task.beside}
