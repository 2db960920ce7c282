"""What operations on the vectors of rows say of vectors that they cannot use."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from answers import ENCODER, column, given
from pydantic import ValidationError
from selrun.compiler.op import Adds, Op
from selrun.compiler.values import Count
from selrun.errors import DataError
from selrun.stdlib.cluster.dbscan import Dbscan
from selrun.stdlib.cluster.kmeans import Kmeans
from selrun.stdlib.cluster.minibatch import Minibatch
from selrun.stdlib.cluster.spectral import Spectral
from selrun.stdlib.select.bins import Bins
from selrun.stdlib.select.facility import Facility
from selrun.stdlib.select.kcenter import Kcenter
from selrun.stdlib.select.repr import Repr
from selrun.stdlib.select.semdedup import Semdedup

ONE = Count(rows=1)
FIELDS: dict[type[Op], dict] = {
    Kmeans: {"k": 1},
    Minibatch: {"k": 1},
    Spectral: {"k": 1},
    Dbscan: {"distance": 0.1, "least": 1},
    Kcenter: {"keep": ONE},
    Facility: {"keep": ONE},
    Bins: {"k": 1, "keep": ONE},
    Repr: {"by": column("grade")},
    Semdedup: {"k": 1},
}
BY_DIRECTION = [Dbscan, Facility, Bins, Repr, Semdedup]


def result(kind: type[Op], place: list, **fields) -> list:
    op = kind.model_validate({**FIELDS[kind], "vectors": column("place"), **fields})
    known = given(place=place, grade=[1.0] * len(place), id=[str(row) for row in range(len(place))])
    found = op.reduce(known) if isinstance(op, Adds) else op.pick(known).order  # type: ignore[attr-defined]
    return found.to_list()


@pytest.mark.parametrize("kind", [kind for kind in FIELDS if "by" in kind.vectors_in])
def test_where_nothing_orders_the_rows_by_names_the_vectors_too(kind: type[Op]):
    place = [[1.0, 2.0]] * 2
    assert result(kind, place, vectors=None, by=column("place")) == result(kind, place)
    with pytest.raises(ValidationError, match="takes one column of vectors"):
        result(kind, place, by=column("place"))


@pytest.mark.parametrize("kind", FIELDS)
def test_one_row_with_a_vector_is_enough(kind: type[Op]):
    found = result(kind, [None, [1.0, 2.0]])
    assert found == {Adds: [None, 0], Semdedup: [0, 1]}.get(Adds if issubclass(kind, Adds) else kind, [1])


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("place", [[None, [float("nan"), 1.0]], [[float("inf"), 0.0]] * 2])
def test_no_finite_vector_at_all_is_an_error(kind: type[Op], place: list):
    with pytest.raises(DataError, match=r"E554.*none of the 2 rows has a vector.*`place` holds none"):
        result(kind, place)


@pytest.mark.filterwarnings("ignore:2 rows have a vector of length 0")
@pytest.mark.parametrize("kind", BY_DIRECTION)
def test_no_vector_with_a_direction_is_an_error(kind: type[Op]):
    with pytest.raises(DataError, match=r"E554.*a length above 0"):
        result(kind, [[0.0, 0.0]] * 2)


@pytest.mark.parametrize("kind", FIELDS)
def test_vectors_of_two_widths_are_an_error_that_names_the_column(kind: type[Op]):
    with pytest.raises(DataError, match=r"E523.*the column `place` .* its lists have 1 to 2 numbers"):
        result(kind, [[1.0], [1.0, 2.0]])


def test_the_error_of_a_model_that_gave_no_vectors_says_so():
    nothing = pl.Series(np.full((2, 3), np.nan, dtype=np.float32))
    with pytest.raises(DataError, match="the model gave none"):
        Kcenter(keep=ONE, using=ENCODER).pick(given({"vector": nothing}, n=[0, 1]))
