from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from answers import ENCODER, NANO, column, given
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st
from selrun.compiler.values import Count
from selrun.errors import DataError
from selrun.runtime.nano import nano_tokenizer
from selrun.runtime.tokens import encode
from selrun.stdlib.select import diverseevol, farthest
from selrun.stdlib.select.kcenter import Kcenter


def one_by_one(vectors: np.ndarray, chosen: list[int], more: int) -> list[int]:
    """Greedy k-center as it is defined, in float64."""
    order = list(chosen)
    wide = vectors.astype(np.float64)
    for _ in range(more):
        distance = np.sqrt(((wide[:, None] - wide[order][None]) ** 2).sum(axis=2)).min(axis=1)
        distance[order] = -1
        order.append(int(distance.astype(np.float32).argmax()))
    return order


def kcenter(vectors: np.ndarray, keep: int, **fields):
    op = Kcenter(keep=Count(rows=keep), using=ENCODER, **fields)
    return op.pick(given({"vector": pl.Series(vectors.astype(np.float32))}, n=range(len(vectors))))


@settings(deadline=None)
@over(st.integers(0, 10**6), st.integers(2, 60), st.integers(1, 6))
def test_rounds_of_competitors_give_the_greedy_order(seed: int, rows: int, dimensions: int):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(rows, dimensions)).astype(np.float32)
    vectors[rng.integers(0, rows, rows // 4)] = vectors[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(farthest, "CANDIDATES", 5)
        patch.setattr(farthest, "ROWS_AT_ONCE", 7)
        found = farthest.farthest_first(vectors, [0], rows - 1)
    assert found.order == one_by_one(vectors, [0], rows - 1)


def test_rows_without_a_finite_vector_are_never_chosen():
    vectors = np.eye(4, dtype=np.float32)
    vectors[1], vectors[2, 0] = np.nan, np.inf
    picked = kcenter(vectors, 2)
    assert set(picked.order) == {0, 3}
    assert picked.reasons.to_list() == [None, "no vector", "no vector", None]


def test_asking_for_more_rows_than_have_a_vector_is_an_error():
    with pytest.raises(DataError, match=r"E522.*kcenter\(5\) needs 5 rows with a vector, and there are 4"):
        kcenter(np.eye(4), 5)


def test_all_rows_can_be_asked_for():
    assert sorted(kcenter(np.zeros((3, 2)), 3).order) == [0, 1, 2]


def test_it_can_start_from_the_first_row_or_the_one_nearest_the_mean():
    line = np.array([[0.0], [4.0], [10.0]])
    assert kcenter(line, 2, start="first").order.to_list() == [0, 2]
    assert kcenter(line, 2, start="mean").order.to_list() == [1, 2]


def test_rows_chosen_already_stay_and_the_others_keep_away_from_them():
    vectors = pl.Series(np.array([[0.0], [1.0], [9.0], [10.0]], dtype=np.float32))
    op = Kcenter(keep=Count(rows=1), using=ENCODER, chosen=column("seen"))
    picked = op.pick(given({"vector": vectors}, seen=[False, True, False, None]))
    assert picked.order.to_list() == [1, 3]


def test_diverseevol_gives_the_input_order_back():
    vectors = np.random.default_rng(0).normal(size=(50, 3))
    order = kcenter(vectors, 20, variant="diverseevol", initial=5).order.to_list()
    assert (len(order), order) == (20, sorted(order))


def test_rows_that_go_are_told_how_near_they_are():
    reasons = kcenter(np.array([[0.0], [1.0], [10.0]]), 2, start="first").reasons
    assert reasons.to_list() == [None, "1.0 from the nearest chosen row; none is farther than 1.0000", None]


def test_a_column_of_vectors_leaves_the_model_out():
    op = Kcenter(keep=Count(rows=1), using=ENCODER, by=column("place"))
    assert (op.using, op.requests()) == (None, {})
    assert op.pick(given(place=[[0, 1], None])).order.to_list() == [0]


def test_duplicates_and_points_that_are_all_equally_far_are_chosen_in_order():
    assert kcenter(np.eye(530), 530, start="first").order.to_list() == list(range(530))
    assert kcenter(np.ones((600, 2)), 3, start="first").order.to_list() == [0, 1, 2]


def test_float32_rounding_does_not_decide_which_row_is_farther():
    rng = np.random.default_rng(0)
    vectors = (1000 + rng.integers(0, 8, (1500, 3))).astype(np.float32)
    order = kcenter(vectors, 60, start="first").order.to_list()
    assert order == one_by_one(vectors, [0], 59)


def test_whitened_components_count_alike():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(200, 3)) * [100, 1, 0.01]
    apart = kcenter(flat, 30, start="first", whiten=3).order.to_list()
    assert apart == kcenter(flat * [1, 50, 7], 30, start="first", whiten=3).order.to_list()
    assert apart != kcenter(flat, 30, start="first").order.to_list()


def test_more_components_than_the_vectors_have_is_an_error():
    line = np.outer(np.arange(5), [1, 2, 3])
    with pytest.raises(DataError, match=r"E553.*vary in 1 directions, and 2 were asked for"):
        kcenter(line, 2, whiten=2)


def test_the_faithful_choice_needs_no_table_of_many_rows(monkeypatch: pytest.MonkeyPatch):
    vectors = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    held = diverseevol.as_published(vectors, range(20), 30).order
    monkeypatch.setattr(diverseevol, "HELD", 0)
    monkeypatch.setattr(diverseevol, "COLUMNS", 7)
    assert diverseevol.as_published(vectors, range(20), 30).order == held


def published_table(vectors: np.ndarray, seed: int, start: int, more: int, whiten: int) -> list[int]:
    """DiverseEvol's choice from a table of all distances, in float32 throughout."""
    import torch

    rows = torch.from_numpy(vectors.astype(np.float32))
    directions, variances, _ = torch.linalg.svd(torch.cov(rows.T))
    kernel = torch.mm(directions, torch.diag(1 / variances.sqrt()))[:, :whiten]
    rows = torch.mm(rows - rows.mean(dim=0, keepdim=True), kernel)
    rows = rows / (rows**2).sum(dim=1, keepdim=True) ** 0.5
    squares = (rows @ rows.T).diagonal().clone()
    table = torch.sqrt(rows @ rows.T * -2 + squares[:, None] + squares[None, :])
    chosen = torch.zeros(len(rows), dtype=torch.bool)
    chosen[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:start]] = True
    for _ in range(more):
        left = torch.arange(len(rows))[~chosen]
        chosen[left[table[left][:, chosen].min(dim=1).values.argmax()]] = True
    return torch.arange(len(rows))[chosen].tolist()


@pytest.mark.parametrize(("seed", "whiten"), [(1, 2), (2, 5), (3, 8)])
def test_the_faithful_choice_by_whitened_components_is_that_of_the_whole_table(seed: int, whiten: int):
    vectors = np.random.default_rng(seed).normal(size=(77, 8))
    vectors[40:60] = vectors[:20] + 1e-5
    options = {"variant": "diverseevol", "faithful": True, "initial": 9, "seed": seed, "whiten": whiten}
    found = kcenter(vectors, 9 + 50, **options).order.to_list()
    assert found == published_table(vectors, seed, 9, 50, whiten)


def test_the_faithful_diverseevol_reads_whole_rows_to_their_end_token():
    rows = {"@instruction": ["Hi"], "@prompt": ["Hi"], "@input": [""], "@response": ["Hello"]}
    absent = {name: [None] for name in ("@system", "@history")}
    op = Kcenter(keep=Count(rows=1), using=NANO, of="whole", variant="diverseevol", faithful=True)
    asked, tokenizer = op.requests()["vector"], nano_tokenizer()
    shown = encode(asked.view, pl.DataFrame({**rows, **absent}), tokenizer)
    assert tokenizer.decode(shown.ids).endswith("### Instruction:\nHi\n\n### Response:Hello</s>")
    assert (asked.view.limit, asked.want.pool) == (512, "mean")


def test_other_vectors_are_the_same_for_the_faithful_diverseevol():
    fields = {"keep": Count(rows=1), "using": NANO, "variant": "diverseevol"}
    assert Kcenter(**fields, faithful=True).requests() == Kcenter(**fields).requests()
