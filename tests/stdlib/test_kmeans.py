from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from answers import ENCODER, NANO, column, given
from pydantic import ValidationError
from selrun.compiler.wants import Embedding, Hidden
from selrun.errors import DataError
from selrun.stdlib.cluster.kmeans import Kmeans

TWO_HEAPS = np.array([[0, 0], [0, 1], [9, 9], [9, 8]], dtype=np.float32)


def labels(vectors: np.ndarray, k: int, **fields) -> list[int | None]:
    op = Kmeans(k=k, using=ENCODER, **fields)
    return op.reduce(given({"vector": pl.Series(vectors)}, n=range(len(vectors)))).to_list()


def test_near_rows_share_a_label():
    a, b, c, d = labels(TWO_HEAPS, 2)
    assert (a, c) == (b, d)
    assert {a, c} == {0, 1}


def test_labels_are_the_same_every_time():
    vectors = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    assert labels(vectors, 7) == labels(vectors, 7)


def test_rows_without_a_finite_vector_have_no_label():
    vectors = np.vstack([TWO_HEAPS, [[np.nan, 0]]]).astype(np.float32)
    assert labels(vectors, 2)[4] is None


def test_fewer_rows_than_clusters_is_an_error_with_both_numbers():
    with pytest.raises(DataError, match=r"E520.*kmeans\(5\) needs 5 rows, and there are 4"):
        labels(TWO_HEAPS, 5)


def test_fewer_distinct_vectors_than_clusters_is_a_warning():
    with pytest.warns(UserWarning, match="found only 1 clusters"):
        assert labels(np.ones((4, 2), dtype=np.float32), 3) == [0] * 4


def test_a_column_of_lists_does_in_place_of_a_model():
    op = Kmeans(k=2, by=column("place"))
    assert op.requests() == {}
    first, second, missing = op.reduce(given(place=[[0, 1], [5, 5], None])).to_list()
    assert ({first, second}, missing) == ({0, 1}, None)


def test_lists_of_several_lengths_are_an_error():
    with pytest.raises(DataError, match=r"E523.*its lists have 1 to 2 numbers"):
        Kmeans(k=1, by=column("place")).reduce(given(place=[[0, 1], [5]]))


def test_a_column_of_something_else_is_an_error():
    with pytest.raises(DataError, match=r"E523.*it holds String"):
        Kmeans(k=1, by=column("place")).reduce(given(place=["x"]))


def test_it_needs_a_model_or_a_column():
    with pytest.raises(ValidationError, match="needs vectors"):
        Kmeans(k=2)


def test_an_encoder_reads_plain_text_and_a_language_model_the_template():
    assert Kmeans(k=2, using=ENCODER).requests()["vector"].want == Embedding()
    wanted = Kmeans(k=2, using=NANO).requests()["vector"]
    assert (wanted.want, wanted.view.parts, wanted.view.template.name) == (
        Hidden(-1, "mean", "prompt"),
        ("prompt",),
        "alpaca",
    )
