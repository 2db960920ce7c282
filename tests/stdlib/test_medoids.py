"""Rows nearest to the centres of k-means clusters."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from answers import ENCODER, given
from selrun.errors import DataError
from selrun.stdlib.select.medoids import Medoids, nearest_to
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin


def points(rows: int, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(5, 8))
    return (centres[draw.integers(5, size=rows)] + 0.3 * draw.normal(size=(rows, 8))).astype(np.float32)


def test_the_nearest_row_to_each_centre_is_taken_in_the_order_of_the_centres():
    vectors = points(200)
    centres = KMeans(12, n_init=1, random_state=0).fit(vectors).cluster_centers_
    picked = Medoids(k=12, using=ENCODER).pick(given({"vector": pl.Series(vectors)}, n=range(200)))
    assert picked.order.to_list() == pairwise_distances_argmin(centres, vectors).tolist()
    assert picked.notes == {"kept": 12, "of": 200}


def test_rows_without_a_vector_are_never_taken_and_every_other_row_says_why():
    vectors: list[list[float] | None] = [[0.0, 0], None, [0.2, 0], [0.1, 0], [5.0, 0], [float("nan"), 0]]
    known = given({"vector": pl.Series(vectors, dtype=pl.List(pl.Float32))}, n=range(6))
    picked = Medoids(k=2, using=ENCODER).pick(known)
    assert sorted(picked.order.to_list()) == [3, 4]
    near, none = "another row is nearer to its centre", "no vector"
    assert picked.reasons.to_list() == [near, none, near, None, None, none]


def test_a_row_nearest_to_two_centres_is_found_twice():
    vectors = np.array([[0.0, 0], [3.0, 0]], dtype=np.float32)
    assert nearest_to(np.array([[0.1, 0], [2.0, 0], [-1.0, 0]]), vectors) == [0, 1, 0]


def test_ties_go_to_the_earlier_row():
    assert nearest_to(np.zeros((1, 2)), np.array([[0, 1.0], [1, 0], [0, -1]])) == [0]


def test_fewer_rows_than_clusters_are_an_error():
    with pytest.raises(DataError, match="needs 9 rows, and there are 3") as raised:
        Medoids(k=9, using=ENCODER).pick(given({"vector": pl.Series(points(3))}, n=range(3)))
    assert raised.value.code == "E520"
