"""Expressions over the columns of rows."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from selrun.compiler.check import builtin_facts, check
from selrun.compiler.core import Derive, Filter
from selrun.compiler.op import Op
from selrun.errors import DataError
from selrun.runtime.answers import evaluated, fulfilled

ROWS = pl.DataFrame(
    {
        "few": pl.Series([1, None], dtype=pl.UInt8),
        "large": pl.Series([2**63 + 2**40, 3], dtype=pl.UInt64),
        "small": pl.Series([100, -100], dtype=pl.Int8),
        "text": ["a b", None],
        "half": [0.5, 1.0],
        "word": ["a", "b"],
        "kind": pl.Series(["b", "a"], dtype=pl.Categorical),
        "price": pl.Series(["1.50", None]).cast(pl.Decimal(10, 2)),
        "tags": [["a"], None],
        "day": pl.Series(["2024-01-31", None]).str.to_date(),
        "more": [{"a": 1}, None],
        "mixed": pl.DataFrame({"@json": ["5", '"five"']}).to_struct(),
        "place": pl.Series([[1.0, 2.0], [3.0, 4.0]], dtype=pl.Array(pl.Float32, 2)),
    }
)


def value(expression: str) -> list[object]:
    """What an expression gives for the two rows."""
    op = only_step(f"derive x = {expression}")
    assert isinstance(op, Derive)
    return evaluated(ROWS, op.value).to_list()


def only_step(text: str) -> Op:
    graph = check([("recipe.sel", text)], builtin_facts()).graph
    return graph[graph.outputs[0].key].op


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
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("few in [1, 2.5]", [True, None]),
        ("half in [1, 2]", [False, True]),
        ("half in [few, 1]", [False, True]),
        ("word in []", [False, False]),
        ('word not in ["a", null]', [False, True]),
        ('"a" in lower(text)', [True, None]),
        ("word in text", [True, None]),
        ("contains(text, word)", [True, None]),
        ("word in tags", [True, None]),
        ("3 in place", [False, True]),
        ("matches(text, word)", [True, None]),
        ("startswith(text, word)", [True, None]),
        ("count(text, word)", [1, None]),
    ],
)
def test_what_is_looked_for_may_be_of_every_row_its_own(expression: str, expected: list[object]):
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("null == few", [False, True]),
        ("null != few", [True, False]),
        ("small < 123456789012345678901234567890", [True, True]),
        ("[small, 1]", [[100, 1], [-100, 1]]),
        ("words(kind)", [1, 1]),
        ('kind < "b"', [False, True]),
        ('day > "2023"', [True, None]),
        ("coalesce(more, more) == null", [False, True]),
        ("if(half < 1, day, null)", [date(2024, 1, 31), None]),
        ("log(price * 2)", [pytest.approx(1.0986, abs=1e-4), None]),
    ],
)
def test_a_value_means_the_same_on_either_side_and_in_every_type(expression: str, expected: list[object]):
    assert value(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "tags + 1",
        "mean(tags)",
        'few == "a"',
        "day > 3",
        "more > 3",
        "mixed > 3",
        "z(if(half < 1, mixed, mixed))",
    ],
)
def test_what_cannot_be_computed_is_said_with_what_the_columns_hold(expression: str):
    with pytest.raises(DataError) as found:
        value(expression)
    assert (found.value.code, found.value.headline) == ("E527", f"`{expression}` cannot be computed")
    held = ("`tags` holds List(String)", "`few` holds UInt8", "`day` holds Date", "`half` holds Float64")
    assert found.value.notes[0] in (
        *held,
        "`more` holds Struct({'a': Int64})",
        "`mixed` holds values of several kinds",
    )


@pytest.mark.parametrize("column", ["mixed", "more", "word", "few"])
def test_what_is_neither_true_nor_false_is_no_condition(column: str):
    op = only_step(f"filter {column}")
    assert isinstance(op, Filter)
    with pytest.raises(DataError, match=f"E527.*`{column}` cannot be computed"):
        fulfilled(ROWS, op.condition)
    nothing = ROWS.with_columns(pl.lit(None, pl.String).alias(column))
    assert fulfilled(nothing, op.condition).to_list() == [None, None]
