from __future__ import annotations

from hypothesis import given as over
from hypothesis import strategies as st
from selrun.stdlib.select.quota import quotas

SIZES = st.lists(st.integers(0, 60), min_size=1, max_size=12)


def test_largest_remainders_get_the_places_that_are_left():
    assert quotas([50, 30, 20], 7) == [4, 2, 1]


def test_equal_remainders_go_to_the_earlier_group():
    assert quotas([1, 1, 1], 2) == [1, 1, 0]


def test_what_a_group_cannot_fill_goes_to_the_others_in_proportion():
    assert quotas([50, 30, 20], 10, [1, 30, 20]) == [1, 5, 4]


def test_more_places_than_rows_give_every_row_one():
    assert quotas([3, 0, 2], 99) == [3, 0, 2]


def test_no_group_has_no_places():
    assert quotas([], 5) == []


@over(SIZES, st.integers(0, 400))
def test_the_sum_is_what_was_asked_for_or_all_there_is(sizes: list[int], places: int):
    assert sum(quotas(sizes, places)) == min(places, sum(sizes))


@over(SIZES, st.data())
def test_every_quota_is_its_proportion_rounded_down_or_up(sizes: list[int], data: st.DataObject):
    places = data.draw(st.integers(0, sum(sizes)))
    total = max(1, sum(sizes))
    given = quotas(sizes, places)
    assert all(places * s // total <= q <= -(-places * s // total) for s, q in zip(sizes, given, strict=True))


@over(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=12), st.integers(0, 400)
)
def test_no_group_gets_more_than_it_has_or_less_than_its_whole_part(
    groups: list[tuple[int, int]], places: int
):
    sizes, room = [max(g) for g in groups], [min(g) for g in groups]
    given = quotas(sizes, places, room)
    total = max(1, sum(sizes))
    assert sum(given) == min(places, sum(room))
    assert all(min(r, places * s // total) <= q <= r for s, r, q in zip(sizes, room, given, strict=True))


@over(SIZES, st.integers(0, 400))
def test_the_same_sizes_give_the_same_places(sizes: list[int], places: int):
    assert quotas(sizes, places) == quotas(list(sizes), places)
