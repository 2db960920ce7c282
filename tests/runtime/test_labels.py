"""Clusters are found once for the same rows and answers, and again when any of them differs."""

from __future__ import annotations

import warnings
from pathlib import Path

import polars as pl
import pytest
from selrun.compiler.values import Model
from selrun.runtime.answers import KnownAnswers
from selrun.runtime.labels import labelled
from selrun.runtime.store import Store
from selrun.stdlib.cluster.kmeans import Kmeans

VECTORS = pl.Series([[float(n % 3), 1.0] for n in range(12)], dtype=pl.List(pl.Float32))
KMEANS = Kmeans(k=3, using=Model(key="m"))


class Counted:
    """Finds labels, and counts how often."""

    def __init__(self, store: Store):
        self.store, self.times = store, 0

    def __call__(self, op: Kmeans = KMEANS, vectors: pl.Series = VECTORS, passkey: str = "p") -> list[int]:
        rows = pl.DataFrame({"@key": [f"{n:032x}" for n in range(len(vectors))]})
        known = KnownAnswers(rows, 0, lambda _: vectors)

        def make() -> pl.Series:
            self.times += 1
            return op.reduce(known)

        return labelled(self.store, op, "kmeans", known, {"vector": passkey}, make).to_list()


@pytest.fixture
def find(tmp_path: Path) -> Counted:
    return Counted(Store(tmp_path / "store"))


def test_the_same_rows_and_answers_are_clustered_once(find: Counted):
    assert find() == find()
    assert find.times == 1


def test_another_operation_pass_or_row_is_clustered_again(find: Counted):
    find()
    find(Kmeans(k=3, using=Model(key="m"), seed=1))
    find(passkey="q")
    find(vectors=VECTORS[:11])
    find(vectors=VECTORS.set(pl.Series([True, *[False] * 11]), None))
    assert find.times == 5


def test_what_gave_a_warning_gives_it_again(find: Counted):
    for _ in range(2):
        with pytest.warns(UserWarning, match="found only 3 clusters"):
            find(Kmeans(k=5, using=Model(key="m")))
    assert find.times == 2


def test_damaged_labels_are_found_again(find: Counted):
    labels = find()
    (file,) = find.store.root.glob("artefacts/labels/*/labels.parquet")
    file.write_bytes(b"")
    with warnings.catch_warnings():
        assert find() == labels
    assert find.times == 2
