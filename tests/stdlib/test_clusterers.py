"""The clusterers beside k-means, and what all of them have in common."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from answers import ENCODER, column, given
from selrun.compiler.op import Cluster
from selrun.errors import DataError
from selrun.stdlib.cluster import dbscan, spectral
from selrun.stdlib.cluster.dbscan import Dbscan
from selrun.stdlib.cluster.kmeans import Kmeans
from selrun.stdlib.cluster.minibatch import Minibatch
from selrun.stdlib.cluster.spectral import Spectral

PARTING = [Kmeans, Minibatch, Spectral]
HEAPS = np.repeat([[0.0, 0.0], [9.0, 9.0], [0.0, 9.0]], 8, axis=0)
HEAPS += np.random.default_rng(0).normal(scale=0.1, size=HEAPS.shape)


def labels(op: Cluster, vectors: np.ndarray) -> list[int | None]:
    answers = {"vector": pl.Series(vectors.astype(np.float32))}
    return op.reduce(given(answers, n=range(len(vectors)))).to_list()


@pytest.mark.parametrize("kind", PARTING)
def test_heaps_become_clusters(kind: type):
    found = labels(kind(k=3, using=ENCODER, **({"neighbours": 5} if kind is Spectral else {})), HEAPS)
    assert [len(set(found[start : start + 8])) for start in (0, 8, 16)] == [1, 1, 1]
    assert set(found) == {0, 1, 2}


@pytest.mark.parametrize("kind", [Kmeans, Spectral])
def test_every_row_can_be_a_cluster_of_its_own(kind: type):
    assert sorted(labels(kind(k=3, using=ENCODER), HEAPS[[0, 8, 16]])) == [0, 1, 2]


def test_batches_that_leave_clusters_empty_are_told():
    with pytest.warns(UserWarning, match=r"minibatch\(3\) found only 2 clusters; the others are empty"):
        labels(Minibatch(k=3, using=ENCODER), HEAPS[[0, 8, 16]])


@pytest.mark.parametrize("kind", PARTING)
def test_a_row_without_a_finite_vector_is_in_no_cluster(kind: type):
    found = labels(kind(k=2, using=ENCODER), np.vstack([HEAPS[:12], [[np.nan, 0]]]))
    assert [label is None for label in found] == [False] * 12 + [True]


@pytest.mark.parametrize("kind", PARTING)
def test_fewer_rows_than_clusters_is_an_error_that_names_the_clusterer(kind: type):
    with pytest.raises(DataError, match=rf"E520.*{kind.noun}\(5\) needs 5 rows, and there are 4"):
        labels(kind(k=5, using=ENCODER), HEAPS[:4])


def test_spectral_clusters_follow_chains_that_kmeans_cuts():
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    rings = np.vstack([ring, 4 * ring])
    inner = labels(Spectral(k=2, using=ENCODER, neighbours=5), rings)[:60]
    assert len(set(inner)) == 1
    assert len(set(labels(Kmeans(k=2, using=ENCODER), rings)[60:])) == 2


def test_more_rows_than_spectral_clusters_can_take_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spectral, "LIMIT", 20)
    with pytest.raises(DataError, match=r"E550.*takes at most 20 rows, and there are 24"):
        labels(Spectral(k=2, using=ENCODER), HEAPS)


def test_noise_and_rows_without_direction_have_no_label():
    vectors = np.array([[1, 0], [1, 0.01], [1, 0.02], [0, 1], [0, 0], [np.nan, 1]])
    with pytest.warns(UserWarning, match="length 0"):
        assert labels(Dbscan(distance=0.01, least=2, using=ENCODER), vectors) == [0, 0, 0, None, None, None]


def test_alone_a_row_is_a_cluster_where_one_row_is_enough():
    line = np.array([[0.0], [1.0], [5.0]])
    op = Dbscan(distance=1.5, least=1, using=ENCODER, metric="euclidean")
    assert labels(op, line) == [0, 0, 1]


def test_a_distance_that_joins_nearly_all_rows_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dbscan, "PAIRS", 100)
    monkeypatch.setattr(dbscan, "PROBED", 12)
    op = Dbscan(distance=50, using=ENCODER, metric="euclidean")
    with pytest.raises(DataError, match=r"E551.*about 576 pairs of 24 rows are within 50") as error:
        labels(op, HEAPS)
    assert "`dbscan(25)`" in str(error.value.help)


def test_a_column_of_vectors_leaves_the_model_out():
    op = Dbscan(distance=0.1, least=1, using=ENCODER, by=column("place"))
    assert (op.using, op.requests()) == (None, {})
    assert op.reduce(given(place=[[0, 1], [0, 2], None])).to_list() == [0, 0, None]


@pytest.mark.parametrize("kind", [*PARTING, Dbscan])
def test_vectors_of_no_numbers_are_none(kind: type[Cluster]):
    op = kind.model_validate({"using": ENCODER, **({"k": 2} if kind in PARTING else {"distance": 0.5})})
    with pytest.raises(DataError, match=r"E554.*none of the 3 rows has a vector"):
        labels(op, np.zeros((3, 0)))


def test_no_rows_have_no_labels():
    assert labels(Dbscan(distance=0.5, using=ENCODER), np.zeros((0, 2))) == []
