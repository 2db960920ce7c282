"""Near duplicates by meaning."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from answers import ENCODER, column, given
from selrun.compiler.op import Picked
from selrun.errors import DataError
from selrun.stdlib.select import semdedup as module
from selrun.stdlib.select.semdedup import Semdedup, most_alike_before

TWINS = np.array([[1, 0.0], [1, 0.1], [1, 0.3], [0, 1]])


def semdedup(vectors: np.ndarray, **fields) -> Picked:
    op = Semdedup(using=ENCODER, **fields)
    ids = [f"r{row}" for row in range(len(vectors))]
    return op.pick(given({"vector": pl.Series(np.asarray(vectors, dtype=np.float32))}, id=ids))


def test_of_near_duplicates_the_farthest_from_the_centre_stays_or_the_nearest():
    heap = TWINS[:3]
    assert semdedup(heap, eps=0.1, k=1).order.to_list() == [2]
    assert semdedup(heap, eps=0.1, k=1, stay="near").order.to_list() == [1]


def test_a_row_goes_for_one_before_it_that_goes_itself():
    turn = np.radians([0, 20, 40])
    chain = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    assert semdedup(np.vstack([chain, [[0.5, -1]]]), eps=0.1, k=1, stay="far").order.to_list() == [2, 3]


def test_rows_in_other_clusters_are_not_compared():
    heaps = np.vstack([TWINS[:2], -TWINS[:2]])
    first, second = semdedup(heaps, eps=2.0, k=2).order.to_list()
    assert (first in (0, 1), second in (2, 3)) == (True, True)


def test_a_row_that_goes_is_told_which_row_it_is_like():
    rest = "of its cluster; above 0.95 they are nearly the same"
    assert semdedup(TWINS[:3], eps=0.05, k=1).reasons.to_list() == [
        f"similarity 0.9578 to row r2 {rest}",
        f"similarity 0.995 to row r0 {rest}",
        None,
    ]


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_blocks_give_the_upper_triangle_of_all_pairs(at_once: int, monkeypatch: pytest.MonkeyPatch):
    vectors = np.random.default_rng(0).integers(-2, 3, (40, 3)).astype(np.float32)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", at_once)
    products = np.where(np.tri(40, k=-1, dtype=bool), vectors @ vectors.T, -np.inf)
    alike, how = most_alike_before(vectors)
    assert alike.tolist() == products.argmax(axis=1).tolist()
    assert how.tolist() == products.max(axis=1).tolist()


def test_rows_without_a_direction_stay():
    vectors = np.vstack([TWINS, [[0, 0], [np.nan, 1]]])
    with pytest.warns(UserWarning, match="length 0"):
        assert semdedup(vectors, eps=0.001).order.to_list()[-2:] == [4, 5]


def test_more_clusters_than_rows_is_an_error():
    with pytest.raises(DataError, match=r"E520.*needs 5 rows for its 5 clusters, and there are 4"):
        semdedup(TWINS, k=5)


def test_a_column_of_vectors_leaves_the_model_out():
    op = Semdedup(using=ENCODER, by=column("place"), k=1)
    assert op.requests() == {}
    assert op.pick(given(place=[[0, 1], [0, 2], None], id=["a", "b", "c"])).order.to_list() == [0, 2]
