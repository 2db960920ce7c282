"""Places of clusters as InstructionGPT-4 gives them, against a plain reading of its script."""

from __future__ import annotations

import numpy as np
import pytest
from answers import column, given
from selrun.compiler.values import Count
from selrun.errors import DataError
from selrun.stdlib.select.cluster_quota import ClusterQuota


def chosen(wanted: int, worth: list, scene: list, **options: bool) -> list[int]:
    op = ClusterQuota(keep=Count(rows=wanted), by=column("worth"), per="scene", **options)
    return op.pick(given(worth=worth, scene=scene)).order.to_list()


def one_by_one(wanted: int, worth: list[float], scene: list[int]) -> list[int]:
    """Scores cut to whole ones; places of every cluster rounded down from 2 % more, and one at least."""
    offered: list[int] = []
    for label in dict.fromkeys(scene):
        members = sorted(
            (row for row, own in enumerate(scene) if own == label), key=lambda row: -int(worth[row])
        )
        places = int(wanted * 51 // 50 * len(members) / len(scene)) or 1
        offered += members[:places]
    return sorted(sorted(offered, key=lambda row: -int(worth[row]))[:wanted])


@pytest.mark.parametrize("seed", range(30))
def test_the_faithful_choice_is_that_of_the_script(seed: int):
    draw = np.random.default_rng(seed)
    rows = int(draw.integers(3, 300))
    worth = draw.normal(0 if seed % 2 else 30, 3, rows).tolist()
    scene = draw.integers(0, int(draw.integers(1, 12)), rows).tolist()
    wanted = int(draw.integers(1, rows + 3))
    assert chosen(wanted, worth, scene, faithful=True) == one_by_one(wanted, worth, scene)


def test_numbers_count_in_full_where_nothing_is_cut():
    worth, scene = [1.2, 1.9, 1.5, 0.1], ["a", "a", "a", "b"]
    assert chosen(2, worth, scene) == [1, 3]
    assert chosen(2, worth, scene, faithful=True) == [0, 3]


def test_places_that_rounding_leaves_are_filled_with_the_best_of_the_others():
    worth, scene = [5.0, 4.0, 3.0, 2.0, 1.0, 0.5], ["a", "a", "b", "b", "c", "c"]
    assert chosen(5, worth, scene) == [0, 1, 2, 3, 4]
    assert chosen(5, worth, scene, faithful=True) == [0, 2, 4]


def test_no_row_with_both_a_number_and_a_cluster_is_an_error():
    with pytest.raises(DataError, match=r"E524.*and a cluster in `scene`"):
        chosen(1, [1.0, None], [None, "a"])
