from __future__ import annotations

from dataclasses import fields
from math import log

import numpy as np
import polars as pl
import pytest
from answers import ENCODER, NANO, Given
from selrun.compiler.values import Data, Expression
from selrun.dsl.tree import Name, Source, Span
from selrun.errors import DataError
from selrun.stdlib.evaluate.diversity import Diversity, Measured

MEASURES = [each.name for each in fields(Measured)][2:]
BEFORE = Data(key="before", label="the rows before")
AXES = np.eye(4, dtype=np.float32)


class Known(Given):
    """Two sets of rows and their vectors."""

    def __init__(self, before: list | np.ndarray, after: list | np.ndarray):
        columns = [
            pl.Series("place", [list(v) if v is not None else None for v in part], dtype=pl.List(pl.Float32))
            for part in (before, after)
        ]
        super().__init__(columns[1].to_frame(), dict(zip(("before", "after"), columns, strict=True)))
        self.before = columns[0].to_frame()

    def dataset(self, data: Data) -> pl.DataFrame:
        return {BEFORE.key: self.before}[data.key]


def column(name: str) -> Expression:
    return Expression(
        tree=Name(name, False, span=Span(Source("", name), 0, len(name))),
        text=name,
        columns=frozenset([name]),
    )


def report(before: list | np.ndarray, after: list | np.ndarray, **options: object) -> dict:
    return Diversity(**{"using": ENCODER, "against": BEFORE, **options}).report(Known(before, after))  # type: ignore[arg-type]


def test_sets_before_and_after_are_told_side_by_side():
    found = report(np.repeat(AXES, 3, axis=0), AXES[:2], clusters=4)
    expected = {
        "rows": {"before": 12, "after": 2},
        "without_vector": {"before": 0, "after": 0},
        "vendi": {"before": 4, "after": 2},
        "mean_similarity": {"before": 2 / 11, "after": 0},
        "radius": {"before": 3**0.5 / 4, "after": 0.5},
        "log_det": {"before": 4 * log(3) + 8 * log(1e-10), "after": 0},
        "partition_entropy": {"before": log(4), "after": log(2)},
        "cluster_inertia": {"before": 0, "after": 0},
        "novelsum": {"before": None, "after": None},
    }
    assert found.pop("facility_distance") == pytest.approx(2**0.5 / 2)
    assert {n: pytest.approx(v, abs=1e-6) for n, v in expected.items() if n != "novelsum"} | {
        "novelsum": expected["novelsum"]
    } == found


def test_a_column_of_vectors_stands_for_a_model():
    by_column = report(AXES, AXES[:2], clusters=2, using=None, by=column("place"))
    assert by_column == report(AXES, AXES[:2], clusters=2)
    assert Diversity(by=column("place"), against=BEFORE).requests() == {}


def test_both_sets_are_asked_of_the_model_in_the_same_way():
    requests = Diversity(using=NANO, against=BEFORE).requests()
    assert (requests["before"].of, requests["after"].of) == (BEFORE, None)
    assert requests["before"].view == requests["after"].view


def test_a_set_that_is_empty_has_no_measure_and_rows_without_a_vector_are_told():
    with pytest.warns(UserWarning, match="2 of the 6 rows before have no vector"):
        found = report([*AXES, None, [0, 0, 0, 0]], [], clusters=2)
    assert {found[name]["after"] for name in MEASURES} == {None}
    assert found["rows"] == {"before": 6, "after": 0}
    assert found["facility_distance"] is None


def test_densities_of_the_rows_after_are_those_among_the_rows_before():
    places = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    alone, among = report(places[:15], places[:15], neighbours=5), report(places, places[:15], neighbours=5)
    assert alone["novelsum"]["after"] != pytest.approx(among["novelsum"]["after"], rel=1e-3)
    assert report(places, places, pairs_up_to=39)["novelsum"] == {"before": None, "after": None}


def test_fewer_rows_than_clusters_is_an_error():
    with pytest.raises(DataError, match="5 clusters need 5 rows, and there are 4 with a vector") as error:
        report(AXES, AXES, clusters=5)
    assert error.value.code == "E520"
