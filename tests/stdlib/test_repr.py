from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from answers import ENCODER, column, given
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st
from selrun.compiler.values import Count
from selrun.errors import DataError
from selrun.stdlib.select import repr as module
from selrun.stdlib.select.repr import Repr


def one_by_one(vectors: np.ndarray, threshold: float, wanted: int) -> list[int]:
    """The filter as it is defined: each row against every row taken before."""
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    taken: list[int] = []
    for i, direction in enumerate(directions):
        if len(taken) < wanted and all(direction @ directions[j] <= threshold for j in taken):
            taken.append(i)
    return taken


def picked(vectors: list, scores: list, threshold: float = 0.9, keep: int | None = None):
    amount = None if keep is None else Count(rows=keep)
    op = Repr(threshold=threshold, keep=amount, by=column("evol"), using=ENCODER)
    answers = {"vector": pl.Series(vectors, dtype=pl.Array(pl.Float32, 2))}
    return op.pick(given(answers, evol=scores, id=[f"r{i}" for i in range(len(scores))]))


@settings(deadline=None)
@over(st.integers(0, 10**6), st.integers(1, 60), st.floats(-0.5, 0.95), st.integers(1, 60))
def test_blocks_give_the_choice_of_one_row_after_the_other(
    seed: int, rows: int, threshold: float, wanted: int
):
    vectors = np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", 7)
        assert module.unlike(vectors, threshold, wanted).taken == one_by_one(vectors, threshold, wanted)


def test_better_rows_come_first_and_rows_like_them_go_with_the_reason():
    result = picked([[1, 0], [1, 0.01], [0, 1]], [1.0, 3.0, 2.0])
    assert result.order.to_list() == [1, 2]
    assert result.reasons[0] == "similarity 1.0 to row r1, which is better; at most 0.9 is allowed"


def test_rows_after_the_amount_go_with_the_reason():
    result = picked([[1, 0], [0, 1], [-1, 0]], [3.0, 2.0, 1.0], keep=1)
    assert result.reasons.to_list() == [None] + ["came after the 1 that were wanted"] * 2


def test_rows_without_a_vector_or_a_score_go():
    result = picked([[1, 0], None, [0, 1]], [1.0, 2.0, None])
    assert result.order.to_list() == [0]
    assert result.reasons[1] == result.reasons[2] == "no vector or no `evol` score"


def test_nothing_to_choose_from_is_an_error():
    with pytest.raises(DataError, match=r"E524"):
        picked([None, [0, 1]], [1.0, None])
