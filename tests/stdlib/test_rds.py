from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from answers import NANO, Given, column
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st
from selrun.compiler.values import Count, Data
from selrun.compiler.wants import Hidden
from selrun.errors import DataError
from selrun.stdlib.select.rds import Rds
from selrun.stdlib.select.turns import in_passes, in_turns

TARGET = Data(key="target", label="target.jsonl")


class Known(Given):
    """Rows and a target, with the vectors of both."""

    def __init__(self, rows: list, target: list, both: int = 0):
        vectors = [pl.Series(part, dtype=pl.List(pl.Float32)) for part in (rows, target)]
        keys = (
            [f"r{i}" for i in range(len(rows))],
            [f"{'r' if i < both else 't'}{i}" for i in range(len(target))],
        )
        super().__init__(
            pl.DataFrame({"@key": keys[0], "place": vectors[0]}),
            dict(zip(("vector", "target"), vectors, strict=True)),
        )
        self.target = pl.DataFrame(
            {"@key": keys[1], "@id": keys[1], "place": vectors[1]},
            schema_overrides={"@key": pl.String, "@id": pl.String},
        )

    def dataset(self, data: Data) -> pl.DataFrame:
        return {TARGET.key: self.target}[data.key]


def picked(known: Known, keep: int, **options: object):
    return Rds(keep=Count(rows=keep), against=TARGET, **{"using": NANO, **options}).pick(known)  # type: ignore[arg-type]


def one_by_one(rows: np.ndarray, targets: np.ndarray, wanted: int) -> list[int]:
    """Each target in turn goes through its whole list from the top."""
    similarities = targets @ rows.T
    order: list[int] = []
    while len(order) < min(wanted, len(rows)):
        likes = np.argsort(-similarities[len(order) % len(targets)], kind="stable")
        order.append(next(int(row) for row in likes if row not in order))
    return order


@settings(deadline=None)
@over(st.integers(0, 10**6), st.integers(1, 90), st.integers(1, 7), st.integers(1, 90))
def test_short_lists_give_the_choice_of_whole_lists(seed: int, rows: int, targets: int, wanted: int):
    draw = np.random.default_rng(seed)
    pool, target = (draw.integers(-2, 3, size=(n, 3)).astype(np.float32) for n in (rows, targets))
    assert in_turns(pool, target, wanted).order == one_by_one(pool, target, wanted)


def by_passes(rows: np.ndarray, targets: np.ndarray, wanted: int) -> list[int]:
    """Every target gives up the top of its list in each of its turns."""
    lists = [np.argsort(-(rows @ target), kind="stable").tolist() for target in targets]
    order: list[int] = []
    while len(order) < min(wanted, len(rows)):
        for likes in lists:
            row = likes.pop(0)
            order += [row] if row not in order else []
    return order[:wanted]


@settings(deadline=None)
@over(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 7), st.integers(1, 60))
def test_faithful_examples_whose_row_is_taken_wait(seed: int, rows: int, targets: int, wanted: int):
    draw = np.random.default_rng(seed)
    pool, target = (draw.integers(-2, 3, size=(n, 3)).astype(np.float32) for n in (rows, targets))
    assert in_passes(pool, target, wanted).order == by_passes(pool, target, wanted)


def test_the_faithful_choice_waits_where_examples_like_the_same_rows():
    known = Known([[1, 0], [1, 0.1], [0, 1], [1, 0.2]], [[1, 0], [1, 0], [0, 1]])
    assert picked(known, 3).order.to_list() == [0, 1, 2]
    assert picked(known, 3, faithful=True).order.to_list() == [0, 2, 1]


def test_examples_that_like_the_same_rows_take_them_in_turn():
    same = np.ones((3, 2), dtype=np.float32)
    pool = np.linspace(0, 1, 200, dtype=np.float32)[:, None] * np.ones((1, 2), dtype=np.float32)
    assert in_turns(pool, same, 150).order == list(range(199, 49, -1))


def test_each_example_takes_the_row_most_like_it_and_the_others_go_with_the_reason():
    known = Known([[1, 0], [0, 1], [1, 0.1], None, [0, 0]], [[2, 0], [0, 3]])
    with pytest.warns(UserWarning, match="1 rows have a vector of length 0"):
        result = picked(known, 2)
    assert result.order.to_list() == [0, 1]
    assert result.marks["chosen by"].to_list() == ["t0", "t1", None, None, None]
    late = "not among the 2 that the 2 target examples chose"
    assert result.reasons.to_list() == [None, None, late, "no vector", "no vector"]


def test_a_target_that_overlaps_the_rows_is_told():
    with pytest.warns(UserWarning, match="2 of the rows to choose from are in the target too"):
        picked(Known([[1, 0], [0, 1], [1, 1]], [[1, 0], [0, 1]], both=2), 1)


def test_later_tokens_weigh_more_and_both_datasets_are_shown_alike():
    requests = Rds(keep=Count(rows=1), against=TARGET, using=NANO).requests()
    assert requests["vector"].want == requests["target"].want == Hidden(-1, "position", "whole")
    assert requests["vector"].view == requests["target"].view
    assert (requests["vector"].of, requests["target"].of) == (None, TARGET)


@pytest.mark.parametrize(
    ("target", "why"), [([], "it has no rows"), ([None], "none of its 1 rows has a vector")]
)
def test_a_target_without_examples_is_an_error(target: list, why: str):
    with pytest.raises(DataError) as error:
        picked(Known([[1, 0]], target), 1)
    assert (error.value.code, error.value.headline) == (
        "E558",
        f"target.jsonl gives no example to be like: {why}",
    )


def test_rows_without_any_vector_are_an_error():
    with pytest.raises(DataError, match="none of the 2 rows has a vector") as error:
        picked(Known([None, None], [[0, 1]]), 1)
    assert error.value.code == "E554"


def test_a_column_of_vectors_stands_for_a_model():
    known = Known([[1, 0], [0, 1]], [[0, 1]])
    assert picked(known, 1, using=None, vectors=column("place")).order.to_list() == [1]
    with pytest.raises(DataError, match=r"target.jsonl has no column `where`") as error:
        picked(known, 1, using=None, vectors=column("where"))
    assert error.value.code == "E559"
