from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from answers import column, given
from selrun.errors import DataError
from selrun.stdlib.score.knn import Knn

PLACES = [[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], None, [0.0, 1.0]]


def scored(places: list | np.ndarray, **options: object) -> list[float | None]:
    return Knn(by=column("place"), **options).reduce(given(place=places)).to_list()  # type: ignore[arg-type]


def test_the_last_is_the_distance_to_the_kth_nearest_other_row():
    assert scored(PLACES, k=2) == pytest.approx([1, 18**0.5, 1, None, 1])


def test_the_mean_is_over_the_first_k_and_equal_rows_are_at_distance_zero():
    assert scored(PLACES, k=2, take="mean") == pytest.approx([1, 18**0.5, 0.5, None, 0.5])


def test_all_pairs_compared_one_by_one_give_the_same():
    places = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    plain = np.sort(np.linalg.norm(places[:, None].astype(float) - places[None], axis=2), axis=1)
    assert scored(places, k=6) == pytest.approx(plain[:, 6].tolist(), rel=1e-6)


def test_by_cosine_a_vector_without_length_has_no_value_and_a_warning_says_so():
    with pytest.warns(UserWarning, match="1 rows have a vector of length 0"):
        scores = scored([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0], [5.0, 0.0]], k=1, metric="cosine")
    assert scores == pytest.approx([None, 0, 1, 0], abs=1e-6)


def test_fewer_rows_than_neighbours_is_an_error():
    with pytest.raises(DataError) as error:
        scored(PLACES, k=4)
    assert error.value.code == "E555"
    assert error.value.headline == "4 neighbours of each row need 5 rows, and there are 4 with a vector, of 5"


def test_a_row_alone_has_no_neighbour_to_ask_for():
    with pytest.raises(DataError) as error:
        scored([[0.0, 0.0]], k=1)
    assert error.value.help == ("give at least two different rows with a vector",)


def test_vectors_with_nan_have_no_value():
    assert scored(pl.Series([[0.0, float("nan")], [1.0, 1.0], [1.0, 2.0]]).to_list(), k=1) == [None, 1, 1]
