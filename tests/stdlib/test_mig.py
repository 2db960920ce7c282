from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from answers import ENCODER, Given, column
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from selrun.compiler.values import Count, Data
from selrun.errors import DataError
from selrun.stdlib.select.information import most_informative, propagation, similar
from selrun.stdlib.select.mig import Mig

TAGS = Data(key="tags", label="tags.jsonl")


class Known(Given):
    """Rows, and a dataset of tags."""

    def __init__(self, rows: dict, tags: dict[str, list[float] | None] | None = None):
        vectors = pl.Series(list((tags or {}).values()), dtype=pl.List(pl.Float32))
        super().__init__(pl.DataFrame(rows, strict=False), {"vector": vectors})
        self.tags = pl.DataFrame({"@prompt": list(tags or {}), "place": vectors})

    def dataset(self, data: Data) -> pl.DataFrame:
        return {TAGS.key: self.tags}[data.key]


def picked(known: Known, keep: int, **options: object):
    op = Mig(keep=Count(rows=keep), labels=column("tags"), by=column("score"), **options)  # type: ignore[arg-type]
    return op.pick(known)


@settings(deadline=None)
@over(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 8))
def test_putting_off_rows_gives_the_choice_of_looking_at_all_rows_each_time(
    seed: int, rows: int, wanted: int
):
    draw = np.random.default_rng(seed)
    parts = draw.integers(0, 4, size=(rows, 5)) * draw.integers(0, 2, size=(rows, 5)).astype(float)
    sums, order = np.zeros(5), []
    for _ in range(min(wanted, rows)):
        gains = parts @ 2.0**-sums
        gains[order] = -1
        order.append(int(gains.argmax()))
        sums += parts[order[-1]]
    assert most_informative(csr_array(parts), wanted, lambda x: 2.0**-x).order == order


ALONE = "ignore:no two tags are similar"


def test_a_tag_that_was_brought_is_worth_less():
    rows = {"tags": [["a"], ["a"], ["b"]], "score": [3.0, 2.9, 1.0]}
    with pytest.warns(UserWarning, match="no two tags are similar, because no dataset of tags is given"):
        assert picked(Known(rows), 2).order.to_list() == [0, 2]


@pytest.mark.filterwarnings(ALONE)
def test_similar_tags_count_together():
    rows = {"tags": [["math"], ["maths"], ["poem"]], "score": [3.0, 2.9, 1.0]}
    tags = {"math": [1.0, 0.0], "maths": [1.0, 0.05], "poem": [0.0, 2.0]}
    assert picked(Known(rows), 2).order.to_list() == [0, 1]
    assert picked(Known(rows, tags), 2, against=TAGS, using=ENCODER).order.to_list() == [0, 2]
    assert picked(Known(rows, tags), 2, against=TAGS, vectors="place").order.to_list() == [0, 2]
    apart = picked(Known(rows, tags), 2, against=TAGS, vectors="place", threshold=0.9999)
    assert apart.order.to_list() == [0, 1]


@pytest.mark.filterwarnings(ALONE)
def test_norm_shares_the_score_out_over_the_tags():
    rows = {"tags": [["a", "b", "c"], ["d"]], "score": [1.0, 1.5]}
    assert picked(Known(rows), 1).order.to_list() == [0]
    assert picked(Known(rows), 1, norm=True).order.to_list() == [1]


def test_columns_of_the_propagation_sum_to_one():
    alike = similar(np.array([[1, 0], [0.6, 0.8]], dtype=np.float32), np.array([0, 1, -1]), 0.5)
    assert alike.toarray() == pytest.approx(np.array([[1, 0.6, 0], [0.6, 1, 0], [0, 0, 1]]))
    spread = propagation(alike, 0.5).toarray()
    assert spread.sum(axis=0) == pytest.approx([1, 1, 1])
    assert spread[0] == pytest.approx([1 / 1.3, 0.3 / 1.3, 0])


@pytest.mark.filterwarnings(ALONE)
def test_rows_without_a_tag_or_a_score_are_never_taken():
    rows = {"tags": [["a"], [], ["b"], None], "score": [None, 1.0, 2.0, 3.0]}
    result = picked(Known(rows), 3)
    assert result.order.to_list() == [2]
    assert result.reasons.to_list() == ["no tag or no `score` score"] * 2 + [
        None,
        "no tag or no `score` score",
    ]


def test_a_negative_score_is_an_error():
    with pytest.raises(DataError, match=r"the score `score` is -1.0 in row 2") as error:
        picked(Known({"tags": [["a"], ["b"]], "score": [1.0, -1.0]}), 1)
    assert error.value.code == "E525"


def test_tags_without_a_vector_are_told_and_none_at_all_is_an_error():
    rows = {"tags": [["a"], ["b"]], "score": [1.0, 2.0]}
    with pytest.warns(UserWarning, match="1 of 2 tags have no vector"):
        picked(Known(rows, {"a": [1.0]}), 1, against=TAGS, vectors="place")
    with pytest.raises(DataError, match=r"none of the 2 tags of `tags` is a row of tags.jsonl") as error:
        picked(Known(rows, {"c": [1.0]}), 1, against=TAGS, vectors="place")
    assert error.value.code == "E559"
