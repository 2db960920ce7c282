"""Rows that stand for all others."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from answers import ENCODER, column, given
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st
from selrun.compiler.op import Picked
from selrun.compiler.values import Count, Expression
from selrun.errors import DataError
from selrun.stdlib.select import lazy, pairs
from selrun.stdlib.select.facility import Facility

FAN = np.array([[1, 0], [1, 0.2], [1, 0.1], [0, 1], [0.1, 1]])


def facility(vectors: np.ndarray, keep: int, *, scores: list | None = None, **fields) -> Picked:
    op = Facility(keep=Count(rows=keep), using=ENCODER, **fields)
    answers = {"vector": pl.Series(np.asarray(vectors, dtype=np.float32))}
    return op.pick(given(answers, evol=scores or [0.0] * len(vectors)))


def one_by_one(alike: np.ndarray, worth: np.ndarray, weight: float, *, latest: bool) -> list[int]:
    """The greedy choice of all points as it is defined: every gain anew for every pick."""
    order: list[int] = []
    while len(order) < len(alike):
        added = np.maximum(alike - alike[order].max(axis=0), 0) if order else alike
        value = weight * added.sum(axis=1) + worth
        value[order] = -np.inf
        order.append(int(np.flatnonzero(value == value.max())[-1 if latest else 0]))
    return order


@settings(deadline=None, max_examples=60)
@over(
    st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([0.0, 0.5, 1.0]), st.booleans(), st.booleans()
)
def test_the_lazy_choice_is_the_greedy_one(seed: int, rows: int, weight: float, held: bool, latest: bool):
    rng = np.random.default_rng(seed)
    # Small whole numbers: sums are exact, and many values are equal.
    points = rng.integers(-2, 3, (rows, 3)).astype(np.float64)
    worth = rng.integers(0, 4, rows).astype(np.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "HELD", rows if held else 0)
        patch.setattr(pairs, "COLUMNS", 7)
        patch.setattr(lazy, "BLOCK", 5)
        patch.setattr(lazy, "AT_FIRST", 3)
        patch.setattr(lazy, "CONFIRMED", 2)
        first = points @ points.sum(axis=0)
        found = lazy.Facility(pairs.Pairs(points, pairs.cosine), worth, weight, latest, first)
        found.choose(rows)
    assert found.order == one_by_one(points @ points.T, worth, weight, latest=latest)


def test_each_heap_has_a_row_that_stands_for_it():
    assert facility(FAN, 2).order.to_list() == [1, 3]


def test_of_equal_rows_the_first_is_taken_and_the_faithful_form_takes_the_last():
    twice = np.array([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    assert facility(twice, 2).order.to_list() == [0, 1]
    assert facility(twice, 2, faithful=True).order.to_list() == [3, 2]


def test_rows_that_go_are_told_what_stands_for_them():
    result = facility(FAN, 2)
    assert result.reasons.to_list() == [
        "similarity 0.9806 to a chosen row; others added more",
        None,
        "similarity 0.9952 to a chosen row; others added more",
        None,
        "similarity 0.995 to a chosen row; others added more",
    ]
    assert (result.notes["kept"], result.notes["of"]) == (2, 5)


@pytest.mark.parametrize(("alpha", "better", "expected"), [(0, "high", 0), (0, "low", 1), (1, "high", 1)])
def test_alpha_weighs_covering_against_the_number(alpha: float, better: str, expected: int):
    scores = [9.0, 1.0, 2.0, 3.0, None]
    assert facility(FAN, 1, scores=scores, by=column("evol", better), alpha=alpha).order.to_list() == [
        expected
    ]


def test_a_row_without_a_number_goes_but_wants_to_be_covered():
    result = facility(FAN[2:], 1, scores=[1.0, 1.0, None], by=column("evol"))
    assert result.order.to_list() == [1]
    assert result.reasons[2] == "no number for `evol`"


def test_rows_without_a_direction_are_left_out():
    with pytest.warns(UserWarning, match="length 0"):
        result = facility(np.array([[1, 0], [0, 0], [np.nan, 1]]), 1)
    assert result.reasons.to_list() == [None, "no vector", "no vector"]


@pytest.mark.parametrize(
    ("keep", "by", "message"),
    [
        (6, None, r"E522.*facility\(6\) needs 6 rows with a vector, and there are 5"),
        (5, column("evol"), r"E522.*needs 5 rows with a vector and a number for `evol`, and there are 4"),
        (0, None, r"E521.*0 of 5 rows is no row"),
    ],
)
def test_more_rows_than_there_are_or_none_is_an_error(keep: int, by: Expression | None, message: str):
    with pytest.raises(DataError, match=message):
        facility(FAN, keep, scores=[1.0, 2.0, 3.0, 4.0, None], by=by)


def test_a_number_that_is_null_everywhere_is_an_error():
    with pytest.raises(DataError, match=r"E524.*none of the 5 rows has a number for `evol`"):
        facility(FAN, 1, scores=[None, float("nan"), None, None, float("inf")], by=column("evol"))


def test_a_column_of_vectors_leaves_the_model_out():
    op = Facility(keep=Count(rows=1), using=ENCODER, vectors=column("place"))
    assert (op.using, op.requests()) == (None, {})
    assert op.pick(given(place=[[0, 1], None])).order.to_list() == [0]
