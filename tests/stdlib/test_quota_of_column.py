from __future__ import annotations

import pytest
from answers import column, given
from selrun.compiler.values import Count
from selrun.errors import DataError
from selrun.stdlib.cluster.quota import Quota
from selrun.stdlib.select.top import Top

TOPICS = ["math"] * 6 + ["poems"] * 3 + [None]


def test_places_are_in_proportion_to_the_rows_of_each_value_and_none_for_rows_without_one():
    labels = Quota(column=column("topic")).reduce(given(topic=TOPICS))
    top = Top(keep=Count(rows=3), by=column("n"), spread="topic").pick(given(topic=labels, n=range(10)))
    assert [TOPICS[i] for i in top.order] == ["poems", "math", "math"]
    assert top.reasons[9] == "in no cluster"
    assert top.reasons[6] == "rank 3 in cluster poems, which had 1 place"


def test_truth_values_and_numbers_are_labels():
    assert Quota(column=column("b")).reduce(given(b=[True, None])).to_list() == ["true", None]
    assert Quota(column=column("n")).reduce(given(n=[3, None])).to_list() == [3, None]


def test_lists_are_no_labels():
    with pytest.raises(DataError, match="E526"):
        Quota(column=column("t")).reduce(given(t=[["a"], ["b"]]))
