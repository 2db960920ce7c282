"""Expressions over the columns of rows."""

from __future__ import annotations

import polars as pl
import pytest
from selrun.compiler.check import builtin_facts, check
from selrun.compiler.core import Derive
from selrun.runtime.answers import evaluated

ROWS = pl.DataFrame(
    {
        "few": pl.Series([1, None], dtype=pl.UInt8),
        "large": pl.Series([2**63 + 2**40, 3], dtype=pl.UInt64),
        "small": pl.Series([100, -100], dtype=pl.Int8),
        "text": ["a b", None],
    }
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("few - 2", [-1, None]),
        ("-few", [-1, None]),
        ("small * 3", [300, -300]),
        ("3 - large", [3 - (2.0**63 + 2**40), 0]),
        ("words(text) - 5", [-3, None]),
        ("chars(text) - 5", [-2, None]),
        ('count(text, "a") - 2', [-1, None]),
        ("len(text) - 5", [-2, None]),
    ],
)
def test_arithmetic_on_counts_may_fall_below_zero(expression: str, expected: list[float | None]):
    graph = check([("recipe.sel", f"derive x = {expression}")], builtin_facts()).graph
    op = graph[graph.outputs[0].key].op
    assert isinstance(op, Derive)
    assert evaluated(ROWS, op.value).to_list() == expected
