from __future__ import annotations

import polars as pl
from answers import column, given
from selrun.stdlib.select.dedup import Exact

ROWS = pl.DataFrame(
    {
        "@id": ["a", "b", "b-2", "c"],
        "@key": ["a", "b", "b", "c"],
        "response": ["x", "y", "y", "x"],
        "t": [None, 1, None, 1],
    }
)


def rows():
    return given(**{name: ROWS[name] for name in ROWS.columns})


def test_the_first_of_equal_rows_stays_and_the_others_name_it():
    picked = Exact().pick(rows())
    assert picked.order.to_list() == [0, 1, 3]
    assert picked.reasons.to_list() == [None, None, "the same content as row b, which comes first", None]


def test_by_compares_a_value_only():
    picked = Exact(by=column("response")).pick(rows())
    assert picked.order.to_list() == [0, 1]
    assert picked.reasons[3] == "the same `response` as row a, which comes first"


def test_rows_without_a_value_are_kept():
    assert Exact(by=column("t")).pick(rows()).order.to_list() == [0, 1, 2]
