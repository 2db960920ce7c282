from __future__ import annotations

import json
import math
from decimal import Decimal

import pytest
from answers import column, given
from hypothesis import given as over
from hypothesis import strategies as st
from selrun.compiler.values import Count, Share
from selrun.errors import DataError
from selrun.stdlib.select.top import Bottom, Top

NAN = math.nan
SCORES = st.lists(st.none() | st.floats(allow_infinity=True) | st.sampled_from([0.0, -0.0, 1.0]), min_size=1)


def top(keep: int | str, scores: list, better: str = "high", **more):
    amount = Count(rows=keep) if isinstance(keep, int) else Share(fraction=Decimal(keep))
    fields = {k: v for k, v in more.items() if isinstance(v, str)}
    columns = {k: v for k, v in more.items() if not isinstance(v, str)}
    return Top(keep=amount, by=column("ifd", better), **fields).pick(given(ifd=scores, **columns))


def test_the_best_come_first_and_ties_go_to_the_earlier_row():
    assert top(3, [1.0, 3.0, 2.0, 3.0]).order.to_list() == [1, 3, 2]


@pytest.mark.parametrize("better", ["high", "low"])
def test_ties_go_to_the_later_row_where_that_is_said(better: str):
    op = {"keep": Count(rows=4), "by": column("ifd", better), "later_first": True}
    rows = given(ifd=[1.0, 3.0, None, 3.0, 1.0, NAN])
    assert Top(**op).pick(rows).order.to_list() == ([3, 1, 4, 0] if better == "high" else [4, 0, 3, 1])
    assert Bottom(**op).pick(rows).order.to_list() == ([4, 0, 3, 1] if better == "high" else [3, 1, 4, 0])


def test_where_low_is_better_the_lowest_come_first():
    assert top(2, [3.0, 1.0, 2.0], "low").order.to_list() == [1, 2]


def test_bottom_takes_the_other_end():
    op = Bottom(keep=Count(rows=2), by=column("ifd"))
    assert op.pick(given(ifd=[3.0, 1.0, None, 2.0])).order.to_list() == [1, 3]


def test_every_row_that_goes_has_its_rank_as_the_reason():
    assert top(1, [1.0, None, 3.0, NAN]).reasons.to_list() == [
        "rank 2 of 2; the last kept was 1",
        "no `ifd` score",
        None,
        "no `ifd` score",
    ]


def test_big_ranks_are_written_with_commas():
    reasons = top(461, [float(-i) for i in range(9229)]).reasons
    assert reasons[811] == "rank 812 of 9,229; the last kept was 461"
    assert reasons[9228] == "rank 9,229 of 9,229; the last kept was 461"


def test_places_are_spread_over_clusters_in_proportion_to_their_size():
    picked = top(3, [9.0, 8.0, 7.0, 6.0, 5.0, 1.0], spread="topic", topic=[0, 0, 0, 0, 1, 1])
    assert picked.order.to_list() == [0, 1, 4]
    assert picked.reasons[2] == "rank 3 in cluster 0, which had 2 places"
    assert picked.marks["cluster rank"].to_list() == [1, 2, 3, 4, 1, 2]
    assert picked.notes["quotas"] == [
        {"cluster": 0, "size": 4, "places": 2},
        {"cluster": 1, "size": 2, "places": 1},
    ]


def test_a_cluster_that_cannot_fill_its_places_leaves_them_to_the_others():
    picked = top(4, [None, None, None, 1.0, 2.0, 3.0, 4.0], spread="topic", topic=[0, 0, 0, 0, 1, 1, 1])
    assert picked.order.to_list() == [6, 5, 4, 3]


def test_rows_in_no_cluster_go_and_say_so():
    picked = top(2, [3.0, 2.0, 1.0], spread="topic", topic=[None, 0, 0])
    assert (picked.order.to_list(), picked.reasons[0]) == ([1, 2], "in no cluster")


def test_per_takes_the_amount_from_every_group_and_null_is_a_group():
    picked = top(1, [1.0, 2.0, 3.0, 4.0], per="topic", topic=["a", "a", None, "b"])
    assert picked.order.to_list() == [3, 2, 1]
    assert picked.reasons[0] == "rank 2 in topic a, which had 1 place"


def test_a_share_per_group_is_of_each_group():
    picked = top("0.5", [1.0, 2.0, 3.0, 4.0, 5.0], per="topic", topic=["a", "a", "b", "b", "c"])
    assert picked.order.to_list() == [3, 1]


def test_per_and_spread_together_spread_inside_each_group():
    picked = top(
        2,
        [8.0, 7.0, 6.0, 5.0, 4.0, 3.0],
        per="t",
        spread="c",
        t=["a", "a", "a", "b", "b", "b"],
        c=[0, 0, 1, 0, 0, 1],
    )
    assert picked.order.to_list() == [0, 2, 3, 5]
    assert picked.reasons[1] == "rank 2 in cluster 0 of t a, which had 1 place"


def test_asking_for_more_rows_than_there_are_keeps_all_with_a_score():
    picked = top(1000, [1.0, None, 2.0])
    assert picked.order.to_list() == [2, 0]
    assert picked.notes == {"kept": 2, "of": 3, "scored": 2, "threshold": 1.0}


def test_a_share_is_of_all_rows_in_exact_arithmetic():
    assert len(top("0.29", [float(i) for i in range(100)]).order) == 29


def test_a_share_that_comes_to_no_row_is_an_error_with_both_numbers():
    with pytest.raises(DataError, match=r"E521.*5% of 12 rows is no row"):
        top("0.05", [1.0] * 12)


def test_scores_that_are_null_everywhere_are_an_error():
    with pytest.raises(DataError, match=r"E524.*none of the 2 rows has a number for `ifd`"):
        top(1, [None, None])


def test_labels_that_are_null_everywhere_leave_no_row_and_a_reason_for_each():
    picked = top(1, [1.0, 2.0], spread="c", c=[None, None])
    assert (picked.order.to_list(), picked.reasons.to_list()) == ([], ["in no cluster"] * 2)


def test_a_list_is_no_group():
    with pytest.raises(DataError, match=r"E526.*the column `tags` holds List\(String\)"):
        top(1, [1.0], per="tags", tags=[["a"]])


def test_notes_can_be_written_as_json():
    picked = top(1, [math.inf, 1.0], per="t", t=[True, 0.5 > 1])
    assert json.loads(json.dumps(picked.notes))["quotas"][0] == {"group": "true", "size": 1, "places": 1}


def test_equal_scores_keep_the_earlier_rows():
    assert top(2, [1.0, 1.0, 1.0]).order.to_list() == [0, 1]


@over(SCORES, st.integers(1, 20), st.sampled_from(["high", "low"]))
def test_it_takes_what_sorting_takes(scores: list[float | None], keep: int, better: str):
    there = [i for i, s in enumerate(scores) if s is not None and not math.isnan(s)]
    if not there:
        return
    sign = -1 if better == "high" else 1
    expected = sorted(there, key=lambda i: sign * scores[i])[:keep]
    picked = top(keep, scores, better)
    assert picked.order.to_list() == expected
    assert [i for i, reason in enumerate(picked.reasons) if reason is None] == sorted(expected)


@over(st.lists(st.tuples(st.floats(-9, 9), st.integers(0, 3)), min_size=1, max_size=40), st.integers(1, 50))
def test_spreading_keeps_the_amount_and_the_best_of_each_cluster(rows: list[tuple[float, int]], keep: int):
    scores, labels = [r[0] for r in rows], [r[1] for r in rows]
    taken = top(keep, scores, spread="c", c=labels).order.to_list()
    assert len(taken) == min(keep, len(rows))
    for label in set(labels):
        inside = sorted((i for i, c in enumerate(labels) if c == label), key=lambda i: -scores[i])
        assert [i for i in taken if labels[i] == label] == inside[: sum(labels[i] == label for i in taken)]
