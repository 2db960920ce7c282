from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from answers import column, given
from hypothesis import given as over
from hypothesis import strategies as st
from selrun.compiler.values import Count, Share
from selrun.errors import DataError
from selrun.stdlib.select.sample import Sample, Stratified, Weighted


def drawn(rows: int, keep: int, seed: int = 0) -> list[int]:
    return Sample(keep=Count(rows=keep), seed=seed).pick(given(n=range(rows))).order.to_list()


@over(st.integers(1, 60), st.integers(1, 80), st.integers(0, 5))
def test_a_sample_has_the_size_asked_for_in_input_order_and_repeats(rows: int, keep: int, seed: int):
    first = drawn(rows, keep, seed)
    assert first == drawn(rows, keep, seed) == sorted(set(first))
    assert len(first) == min(rows, keep)


def test_another_seed_draws_other_rows():
    assert drawn(1000, 10, 1) != drawn(1000, 10, 2)


@over(st.integers(1, 50), st.integers(1, 20), st.integers(1, 50))
def test_appended_rows_only_push_rows_out(rows: int, keep: int, more: int):
    before, after = drawn(rows, keep), drawn(rows + more, keep)
    assert {i for i in after if i < rows} <= set(before)


def test_every_row_is_drawn_equally_often():
    counts = np.zeros(10)
    for seed in range(800):
        counts[drawn(10, 3, seed)] += 1
    assert np.abs(counts / 800 - 0.3).max() < 0.06


def test_per_draws_from_every_group():
    op = Sample(keep=Count(rows=1), per="topic")
    topics = ["a", "b", "a", "b", None]
    assert sorted(str(topics[i]) for i in op.pick(given(topic=topics)).order) == ["None", "a", "b"]


def test_spread_follows_the_clusters_sizes():
    labels = [0] * 60 + [1] * 30 + [2] * 10
    order = Sample(keep=Count(rows=10), spread="c").pick(given(c=labels)).order
    assert [sum(labels[i] == c for i in order) for c in range(3)] == [6, 3, 1]


def test_rows_that_are_not_drawn_say_so():
    reasons = Sample(keep=Count(rows=1)).pick(given(n=range(2))).reasons
    assert sorted(reasons.to_list(), key=str) == [None, "not drawn; 1 of 2 rows were"]


def test_stratified_keeps_the_proportions_of_the_column():
    topics = ["a"] * 50 + ["b"] * 30 + [None] * 20
    op = Stratified(column=column("topic"), keep=Share(fraction=Decimal("0.1")))
    picked = op.pick(given(topic=topics))
    assert [topics[i] for i in picked.order] == ["a"] * 5 + ["b"] * 3 + [None] * 2
    assert picked.reasons.drop_nulls()[0] == "not drawn; topic a had 5 places"


def test_weighted_draws_in_proportion_to_the_weight():
    rows, op = given(w=[1.0, 2.0, 7.0]), Weighted(weight=column("w"), keep=Count(rows=1))
    counts = np.zeros(3)
    for seed in range(1000):
        counts[op.model_copy(update={"seed": seed}).pick(rows).order[0]] += 1
    assert np.abs(counts / 1000 - [0.1, 0.2, 0.7]).max() < 0.05


def test_rows_without_a_weight_are_never_drawn():
    op = Weighted(weight=column("w"), keep=Count(rows=9))
    picked = op.pick(given(w=[0.0, 1.0, None, float("nan"), 2.0]))
    assert picked.order.to_list() == [1, 4]
    assert picked.reasons[0] == "no weight: `w` is not above 0"


def test_a_negative_weight_is_an_error_with_its_row():
    with pytest.raises(DataError, match=r"E525.*the weight `w` is -1.0 in row 2"):
        Weighted(weight=column("w"), keep=Count(rows=1)).pick(given(w=[1.0, -1.0]))


def test_no_weight_above_nothing_is_an_error():
    with pytest.raises(DataError, match=r"E524"):
        Weighted(weight=column("w"), keep=Count(rows=1)).pick(given(w=[0.0, None]))


def test_a_temperature_draws_in_proportion_to_the_exponential_however_large_the_scores():
    scores = [1000.0, 1000.0 + np.log(2), 1000.0 + np.log(7), None, float("-inf")]
    op = Weighted(weight=column("w"), keep=Count(rows=1), temperature=1.0, per="of")
    order = op.pick(given(w=scores * 2000, of=[row // 5 for row in range(10_000)])).order
    shares = np.bincount(order.to_numpy() % 5, minlength=5) / 2000
    assert np.abs(shares - [0.1, 0.2, 0.7, 0, 0]).max() < 0.04


def test_with_a_temperature_negative_scores_may_be_drawn_and_rows_without_a_score_may_not():
    op = Weighted(weight=column("w"), keep=Count(rows=9), temperature=2.0)
    picked = op.pick(given(w=[-3.0, None, 0.0]))
    assert picked.order.to_list() == [0, 2]
    assert picked.reasons[1] == "no weight: `w` is not a number"


def test_more_values_than_rows_drawn_are_told():
    op = Stratified(column=column("topic"), keep=Count(rows=2))
    with pytest.warns(UserWarning, match="`topic` has 3 values and 2 rows are drawn, so 1 of them have none"):
        assert len(op.pick(given(topic=["a", "b", "c", "a"])).order) == 2


def test_the_values_of_a_list_are_no_strata():
    with pytest.raises(DataError, match=r"E526.*the column `topic` holds List\(String\)"):
        Stratified(column=column("topic"), keep=Count(rows=2)).pick(given(topic=[["a"], ["b", "c"]]))
