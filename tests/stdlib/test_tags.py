from __future__ import annotations

import polars as pl
import pytest
from answers import column, given
from hypothesis import given as over
from hypothesis import strategies as st
from selrun.compiler.values import Count
from selrun.errors import DataError
from selrun.stdlib.select.tags import Tags, complexity_first
from selrun.stdlib.tag.split import Split

ROWS = st.lists(st.frozensets(st.sampled_from("abcdef"), max_size=4), min_size=1, max_size=25)


def as_printed(tags: list[frozenset[str]], wanted: int) -> list[int]:
    """The paper's loop, ended where no row with a tag is left."""
    pool = sorted(range(len(tags)), key=lambda i: -len(tags[i]))
    order: list[int] = []
    while len(order) < wanted and any(tags[i] for i in pool):
        covered: frozenset[str] = frozenset()
        for row in list(pool):
            if len(order) < wanted and len(covered | tags[row]) > len(covered):
                covered |= tags[row]
                order.append(row)
                pool.remove(row)
    return order


@over(ROWS, st.integers(1, 30))
def test_the_choice_is_that_of_the_printed_algorithm(tags: list[frozenset[str]], wanted: int):
    assert complexity_first(tags, wanted).order == as_printed(tags, wanted)


def picked(tags: list | pl.Series, keep: int, **options: int):
    return Tags(keep=Count(rows=keep), by=column("tags"), **options).pick(given(tags=tags))


def test_rows_with_more_tags_come_first_and_the_others_go_with_the_reason():
    result = picked([["a"], ["a", "b"], [], ["c", "c"], ["b"], None], 3)
    assert result.order.to_list() == [1, 3, 0]
    after = "came after the 3 that were wanted"
    assert result.reasons.to_list() == [None, None, "no tag", None, after, "no tag"]
    assert result.notes == {"kept": 3, "of": 6, "passes": 2, "coverage": 1.0, "complexity": 4 / 3}


def test_one_pass_takes_only_rows_with_a_new_tag_and_warns_that_there_are_fewer():
    with pytest.warns(UserWarning, match="only 2 of 3 rows are taken: the passes allowed are 1"):
        result = picked([["a"], ["a", "b"], ["c"], ["b"]], 3, passes=1)
    assert result.order.to_list() == [1, 2]
    covered = "all its tags were covered in pass 1"
    assert result.reasons.to_list() == [covered, None, None, covered]


def test_rows_without_tags_are_never_taken_and_the_choice_ends_with_a_warning():
    with pytest.warns(UserWarning, match="only 1 of 3 rows are taken: 2 rows have no tag"):
        assert picked([[], ["a"], None], 3).order.to_list() == [1]


@pytest.mark.parametrize("tags", [["a, b", "c"], [1, 2], [[1], [2]]], ids=["texts", "numbers", "lists"])
def test_a_column_that_holds_no_lists_of_texts_is_an_error(tags: list):
    with pytest.raises(DataError, match="and tags are lists of texts") as error:
        picked(tags, 1)
    assert error.value.code == "E556"


@pytest.mark.parametrize("tags", [[[], []], [None, None], [[None], [""]]])
def test_no_tag_at_all_is_an_error(tags: list):
    with pytest.raises(DataError) as error:
        picked(pl.Series(tags, dtype=pl.List(pl.String)), 1)
    assert (error.value.code, error.value.headline) == ("E557", "none of the 2 rows has a tag in `tags`")


def test_a_text_is_split_into_tags():
    texts = given(about=["math, hard math ,", "a", "", None])
    lists = Split(text=column("about")).reduce(texts)
    assert lists.to_list() == [["math", "hard math"], ["a"], [], None]


@pytest.mark.parametrize(
    ("values", "kind"),
    [([["a"], ["b"]], "List(String)"), ([1, 2], "Int64"), ([[0.5], None], "List(Float64)")],
)
def test_only_a_text_is_split_into_tags(values: list[object], kind: str):
    with pytest.raises(DataError) as error:
        Split(text=column("about")).reduce(given(about=values))
    assert error.value.code == "E556"
    assert error.value.headline == f"the column `about` holds {kind}, and only a text is split into tags"
