from __future__ import annotations

import numpy as np
import pytest
from answers import column, given
from selrun.errors import DataError
from selrun.stdlib.evaluate import novelty
from selrun.stdlib.evaluate.novelty import Weighing, densities, novelties
from selrun.stdlib.score.novelsum import Novelsum


def one_by_one(x: np.ndarray, neighbours: int, p: float, q: float) -> list[float]:
    """The paper's sum for each row, over its weights."""
    distance = 1 - x @ x.T
    dense = []
    for i in range(len(x)):
        near = sorted(((x[i] - x[j]) ** 2).sum() for j in range(len(x)) if j != i)[:neighbours]
        dense.append((np.mean(near) + 1e-9) ** -p)
    found = []
    for i in range(len(x)):
        others = sorted((j for j in range(len(x)) if j != i), key=lambda j: distance[i, j])
        weights = [1 / (rank + 1) ** q for rank in range(len(others))]
        parts = (w * dense[j] * distance[i, j] for w, j in zip(weights, others, strict=True))
        found.append(sum(parts) / sum(weights))
    return found


def circle(rows: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(rows, 4))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def test_the_mean_over_other_rows_is_that_of_one_row_after_the_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(novelty, "NUMBERS_AT_ONCE", 100)
    x = circle(30)
    expected = one_by_one(x.astype(np.float64), 5, 0.5, 1.0)
    assert novelties(x, x, Weighing(5)).tolist() == pytest.approx(expected, rel=1e-5)


def test_equal_reference_rows_count_once_and_a_row_is_not_its_own_neighbour():
    reference = np.array([[1, 0], [1, 0], [0, 1], [-1, 0]], dtype=np.float32)
    dense = densities(reference[:1], reference, Weighing(1, 1.0))
    assert dense.tolist() == pytest.approx([1 / 2])


def test_a_row_that_the_reference_lacks_keeps_its_nearest_neighbour():
    reference = np.array([[0, 1], [-1, 0]], dtype=np.float32)
    row = np.array([[1, 0]], dtype=np.float32)
    assert densities(row, reference, Weighing(1, 1.0)).tolist() == pytest.approx([1 / 2])
    assert densities(row, reference, Weighing(1, 1.0, published=True)).tolist() == pytest.approx([1 / 4])


def test_a_row_in_a_crowd_is_less_new_than_one_apart():
    crowd = [[1.0, 0.01 * i] for i in range(8)]
    scores = Novelsum(neighbours=3, by=column("place")).reduce(given(place=[*crowd, [-1.0, 0.3], None]))
    assert scores.to_list()[9] is None
    assert scores.arg_max() == 8


def test_too_few_different_vectors_is_an_error():
    with pytest.raises(DataError, match="need 4 different vectors, and there are 2") as error:
        Novelsum(neighbours=3, by=column("place")).reduce(given(place=[[1.0, 0.0]] * 5 + [[0.0, 1.0]]))
    assert error.value.code == "E555"
