"""Tags of near vectors as one."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from answers import Given, column
from selrun.compiler.values import Data
from selrun.errors import DataError
from selrun.stdlib.tag.alike import Alike

TAGS = Data(key="tags", label="tags.jsonl")


class Known(Given):
    """Rows with tags, and the tags with a direction each, in degrees."""

    def __init__(self, tags: list, degrees: dict[str, float | None]):
        super().__init__(pl.DataFrame({"tags": pl.Series(tags, dtype=pl.List(pl.String))}), {})
        turned = [
            None if d is None else [np.cos(np.radians(d)), np.sin(np.radians(d))] for d in degrees.values()
        ]
        self.tags = pl.DataFrame({"@prompt": list(degrees), "place": turned})

    def dataset(self, data: Data) -> pl.DataFrame:
        return {TAGS.key: self.tags}[data.key]


def alike(tags: list, degrees: dict[str, float | None], distance: float = 0.05) -> list:
    op = Alike(labels=column("tags"), distance=distance, against=TAGS, vectors="place")
    return op.reduce(Known(tags, degrees)).to_list()


def test_near_tags_are_one_and_chains_of_them_too():
    tags = [["sum", "adding"], ["sum"], ["plus", "rhyme"], ["adding", "poem"], [], None]
    places = {"sum": 0, "adding": 15, "plus": 30, "rhyme": 90, "poem": 120}
    assert alike(tags, places) == [["sum"], ["sum"], ["sum", "rhyme"], ["sum", "poem"], [], None]
    assert alike(tags, places, 0.01) == tags
    assert alike(tags, places, 2) == [["sum"], ["sum"], ["sum"], ["sum"], [], None]


def test_of_equally_frequent_tags_the_shortest_names_them():
    assert alike([["addition", "sum"]], {"addition": 3, "sum": 4}) == [["sum"]]


def test_a_tag_without_a_vector_stays():
    with pytest.warns(UserWarning, match="1 of 3 tags have no vector"):
        assert alike([["a", "b", "c"]], {"a": 1, "b": None, "c": 1}) == [["a", "b"]]
    with pytest.raises(DataError, match="E559"):
        alike([["a"]], {"z": 1})


def test_rows_without_tags_have_none():
    assert alike([[], None], {"a": 1}) == [[], None]
