"""Answers made by hand, for operations that are tested by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from selrun.compiler.values import Data, Expression, Model

NANO = Model(key="nano", label="nano", kind="causal")
ENCODER = Model(key="encoder", label="encoder", kind="encoder")


@dataclass
class Given:
    """Rows and the answers to requests; expressions are names of columns."""

    rows: pl.DataFrame
    requests: Mapping[str, pl.Series] = field(default_factory=dict)
    seed: int = 0
    datasets: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    """Other datasets, by the key of their `Data`."""

    def __getitem__(self, request: str) -> pl.Series:
        return self.requests[request]

    def dataset(self, data: Data) -> pl.DataFrame:
        return self.datasets[data.key]

    def column(self, name: str) -> pl.Series:
        return self.rows[name if name in self.rows.columns else f"@{name}"].alias(name)

    def evaluate(self, expression: Expression) -> pl.Series:
        return self.column(expression.text)


def given(requests: Mapping[str, pl.Series] | None = None, **columns: Sequence[Any] | pl.Series) -> Given:
    """Answers about rows with these columns."""
    return Given(pl.DataFrame(columns), requests or {})


def column(name: str, better: str = "high") -> Expression:
    """An expression that is one column."""
    return Expression.model_validate({"tree": None, "text": name, "columns": {name}, "better": better})
