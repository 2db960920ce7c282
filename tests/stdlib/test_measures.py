from __future__ import annotations

from math import log

import numpy as np
import pytest
from selrun.stdlib.evaluate import measures

AXES = np.eye(4, dtype=np.float32)


def test_rows_that_have_nothing_in_common_count_each():
    assert measures.vendi(AXES) == pytest.approx(4)
    assert measures.vendi(np.repeat(AXES, 3, axis=0)) == pytest.approx(4)


def test_equal_rows_count_as_one():
    assert measures.vendi(np.repeat(AXES[:1], 5, axis=0)) == pytest.approx(1)


@pytest.mark.parametrize("rows", [3, 4, 9])
def test_the_small_and_the_large_matrix_have_the_same_eigenvalues(rows: int):
    x = np.random.default_rng(rows).normal(size=(rows, 4)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    every = np.linalg.eigvalsh(x.astype(np.float64) @ x.T.astype(np.float64))
    assert measures.eigenvalues(x).tolist() == pytest.approx(every[-min(rows, 4) :].tolist(), abs=1e-12)


def test_log_det_is_zero_of_unlike_rows_and_falls_by_a_constant_with_each_row_beyond_the_dimensions():
    assert measures.log_det(AXES) == pytest.approx(0, abs=1e-9)
    assert measures.log_det(np.vstack([AXES, AXES[:1]])) == pytest.approx(log(2) + log(1e-10))


def test_mean_similarity_is_over_pairs_of_different_rows():
    assert measures.mean_similarity(np.vstack([AXES[:1], AXES[:1], AXES[1:2]])) == pytest.approx(1 / 3)
    assert measures.mean_similarity(AXES[:1]) is None


def test_the_radius_leaves_out_dimensions_without_spread():
    rows = np.array([[0, 5, 1], [2, 5, 9]], dtype=np.float32)
    assert measures.radius(rows) == pytest.approx(2.0)
    assert measures.radius(rows, floor=True) == pytest.approx((4e-10) ** (1 / 3))
    assert measures.radius(rows[:1]) is None


def test_entropy_is_that_of_the_shares():
    assert measures.entropy(np.array([0, 0, 1, 1])) == pytest.approx(log(2))
    assert measures.entropy(np.array([3, 3])) == 0


def test_chosen_rows_are_at_no_distance():
    assert measures.facility_distances(AXES, AXES[:2]) == pytest.approx([0, 0, 2**0.5, 2**0.5])
