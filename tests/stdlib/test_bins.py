"""Bins from the centre of the data outwards."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from answers import ENCODER, column, given
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st
from selrun.compiler.op import Picked
from selrun.compiler.values import Count, Share
from selrun.errors import DataError
from selrun.stdlib.select import graphcut
from selrun.stdlib.select.bins import Bins

FAN = np.array([[1, 0], [1, 0.1], [1, 0.2], [1, -0.1], [-1, 0.1]])


def bins(vectors: np.ndarray, k: int, keep: int, **fields) -> Picked:
    op = Bins(k=k, keep=Count(rows=keep), using=ENCODER, **fields)
    return op.pick(given({"vector": pl.Series(np.asarray(vectors, dtype=np.float32))}, n=range(len(vectors))))


def one_by_one(points: np.ndarray, sizes: list[int]) -> list[list[int]]:
    """The bins as they are defined: every gain anew for every row taken."""
    left, found = list(range(len(points))), []
    for size in sizes:
        every, taken = list(left), []
        for _ in range(size):
            gains = [points[every].sum(0) @ points[x] - 2 * points[taken].sum(0) @ points[x] for x in left]
            taken.append(left.pop(int(np.argmax(gains))))
        found.append(sorted(taken))
    return found


@settings(deadline=None, max_examples=60)
@over(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 5), st.booleans())
def test_bins_are_those_of_taking_one_row_after_the_other(seed: int, rows: int, k: int, held: bool):
    # Small whole numbers: sums are exact, and many gains are equal.
    points = np.random.default_rng(seed).integers(-2, 3, (rows, 3)).astype(np.float64)
    sizes = [rows // k] * k
    with pytest.MonkeyPatch.context() as patch:
        small = {"HELD": rows if held else 0, "LEAST": 2, "MOST": 0.6, "TRIED": 3, "AHEAD": 8, "STRIDE": 4}
        for name, number in (small | {"BLOCK": 7, "KEPT": 5 * rows}).items():
            patch.setattr(graphcut, name, number)
        found = graphcut.graph_cut_bins(points, sizes)
    assert [one.tolist() for one in found] == one_by_one(points, sizes)


def test_bins_of_many_rows_are_those_of_a_table():
    draw = np.random.default_rng(0)
    points = draw.normal(size=(40, 16))[draw.integers(40, size=900)] + 0.3 * draw.normal(size=(900, 16))
    points = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    points[500:600] = points[:100]
    sizes, found = [180] * 5, []
    for held in (900, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(graphcut, "HELD", held)
            patch.setattr(graphcut, "LEAST", 16)
            found.append([one.tolist() for one in graphcut.graph_cut_bins(points, sizes)])
    assert found[0] == found[1]


def summed_anew(points: np.ndarray, k: int) -> list[list[int]]:
    """The bins of the authors' script: a float32 table, and all its sums anew for every row taken."""
    left, found = np.arange(len(points)), []
    for _ in range(k):
        alike = (points[left].astype(np.float64) @ points[left].T.astype(np.float64)).astype(np.float32)
        every, taken = alike.sum(axis=0), np.zeros(len(left), dtype=bool)
        for _ in range(len(points) // k):
            gains = every - 2 * alike[taken].sum(axis=0)
            gains[taken] = -np.inf
            taken[gains.argmax()] = True
        found.append(left[taken].tolist())
        left = left[~taken]
    return found


@pytest.mark.parametrize(("rows", "width", "k"), [(108, 8, 108), (310, 2, 155), (200, 16, 10), (61, 4, 30)])
def test_values_that_are_equal_in_float32_are_so_in_the_faithful_form(rows: int, width: int, k: int):
    points = np.random.default_rng(rows).normal(size=(rows, width)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    found = graphcut.graph_cut_bins(points, [rows // k] * k, single=True)
    assert [one.tolist() for one in found] == summed_anew(points, k)


def test_the_first_bin_holds_the_middle_and_the_last_the_outlier():
    result = bins(FAN, 5, 5)
    assert (result.order[0], result.order[-1]) == (1, 4)
    assert result.marks["bin"].to_list()[4] == 5


def test_every_row_has_a_bin_and_exactly_as_many_as_wanted_are_drawn():
    vectors = np.random.default_rng(0).normal(size=(23, 4))
    result = bins(vectors, 4, 10)
    assert result.marks["bin"].value_counts().sort("bin")["count"].to_list() == [6, 6, 6, 5]
    assert (len(result.order), result.notes["drawn"]) == (10, [3, 3, 2, 2])
    assert result.marks["bin"].gather(result.order).is_sorted()


def test_the_faithful_form_leaves_rows_over_and_rounds_down():
    result = bins(np.random.default_rng(0).normal(size=(23, 4)), 4, 10, faithful=True)
    assert result.notes["drawn"] == [2, 2, 2, 2]
    assert result.reasons.to_list().count("left over by bins of equal size") == 3


def test_rows_that_go_are_told_their_bin():
    result = bins(np.vstack([FAN, [[np.nan, 0]]]), 1, 4)
    gone = ({0, 1, 2, 3, 4} - set(result.order)).pop()
    assert result.reasons[gone] == "not among the 4 drawn of the 5 rows of bin 1"
    assert result.reasons[5] == "no vector"


def test_only_directions_count_and_zero_has_none():
    vectors = np.vstack([FAN * [[1], [50], [1], [7], [1]], [[0, 0]]])
    with pytest.warns(UserWarning, match="length 0"):
        assert bins(vectors, 5, 5).order.to_list() == bins(FAN, 5, 5).order.to_list()


def test_the_draw_follows_the_seed():
    vectors = np.random.default_rng(0).normal(size=(40, 3))
    orders = [bins(vectors, 2, 10, seed=seed).order.to_list() for seed in (0, 0, 1)]
    assert (orders[0] == orders[1], orders[0] == orders[2]) == (True, False)


@pytest.mark.parametrize(
    ("k", "keep", "faithful", "message"),
    [
        (6, 5, False, r"E520.*bins\(6, 5\) needs 6 rows, and there are 5"),
        (2, 6, False, r"E522.*needs 6 rows with a vector, and there are 5"),
        (2, 0, False, r"E521.*0 of 5 rows is no row"),
        (3, 2, True, r"E521.*2 rows from 3 bins is no row of any of them"),
    ],
)
def test_numbers_that_do_not_fit_are_errors(k: int, keep: int, faithful: bool, message: str):
    with pytest.raises(DataError, match=message):
        bins(FAN, k, keep, faithful=faithful)


def test_a_share_and_a_column_of_vectors_do():
    op = Bins(k=2, keep=Share(fraction="0.5"), using=ENCODER, by=column("place"))  # type: ignore[arg-type]
    assert op.requests() == {}
    assert len(op.pick(given(place=[[0, 1], [1, 0], [1, 1], [2, 1]])).order) == 2
