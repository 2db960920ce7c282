from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from answers import ENCODER, NANO, column, given
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError
from selrun.compiler.values import Count
from selrun.errors import DataError
from selrun.runtime.nano import nano_tokenizer
from selrun.runtime.tokens import encode
from selrun.stdlib.embed.directions import unit
from selrun.stdlib.select import repr as module
from selrun.stdlib.select.deita import as_published
from selrun.stdlib.select.repr import Repr, unlike


def one_by_one(vectors: np.ndarray, threshold: float, wanted: int) -> list[int]:
    """The filter as it is defined: each row against every row taken before."""
    directions = unit(vectors).astype(np.float64)
    taken: list[int] = []
    for i, direction in enumerate(directions):
        if len(taken) < wanted and all(direction @ directions[j] <= threshold for j in taken):
            taken.append(i)
    return taken


def picked(vectors: list, scores: list, threshold: float = 0.9, keep: int | None = None):
    amount = None if keep is None else Count(rows=keep)
    op = Repr(threshold=threshold, keep=amount, by=column("evol"), using=ENCODER)
    answers = {"vector": pl.Series(vectors, dtype=pl.Array(pl.Float32, 2))}
    return op.pick(given(answers, evol=scores, id=[f"r{i}" for i in range(len(scores))]))


@settings(deadline=None)
@over(st.integers(0, 10**6), st.integers(1, 60), st.floats(-0.5, 0.95), st.integers(1, 60))
def test_blocks_give_the_choice_of_one_row_after_the_other(
    seed: int, rows: int, threshold: float, wanted: int
):
    vectors = np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", 7)
        assert module.unlike(unit(vectors), threshold, wanted).taken == one_by_one(vectors, threshold, wanted)


def test_better_rows_come_first_and_rows_like_them_go_with_the_reason():
    result = picked([[1, 0], [1, 0.02], [0, 1]], [1.0, 3.0, 2.0])
    assert result.order.to_list() == [1, 2]
    assert result.reasons[0] == "similarity 0.9998 to row r1, which is better; at most 0.9 is allowed"


def test_rows_after_the_amount_go_with_the_reason():
    result = picked([[1, 0], [0, 1], [-1, 0]], [3.0, 2.0, 1.0], keep=1)
    assert result.reasons.to_list() == [None] + ["came after the 1 that were wanted"] * 2


def test_rows_without_a_vector_or_a_score_go():
    result = picked([[1, 0], None, [0, 1]], [1.0, 2.0, None])
    assert result.order.to_list() == [0]
    assert result.reasons[1] == result.reasons[2] == "no vector or no `evol` score"


def test_nothing_to_choose_from_is_an_error():
    with pytest.raises(DataError, match=r"E524"):
        picked([None, [0, 1]], [1.0, None])


def test_at_the_threshold_itself_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    vectors = unit(np.random.default_rng(0).integers(-1, 2, (300, 8)).astype(np.float32) + 0.5)
    found = [module.unlike(vectors, 0.5, 300).taken]
    for block in (1, 7, 100):
        monkeypatch.setattr(module, "BLOCK", block)
        found.append(module.unlike(vectors, 0.5, 300).taken)
    assert found == [found[0]] * 4


def test_a_vector_of_length_zero_is_taken_by_the_faithful_form_alone():
    vectors = np.array([[1, 0], [0, 0], [1, 0.01]], dtype=np.float32)
    op = {"threshold": 0.9, "by": column("evol"), "using": ENCODER}
    known = given({"vector": pl.Series(vectors)}, evol=[3, 2, 1], id=["a", "b", "c"])
    assert Repr(**op, faithful=True).pick(known).order.to_list() == [0, 1]
    with pytest.warns(UserWarning, match="length 0"):
        assert Repr(**op).pick(known).order.to_list() == [0]


def published(vectors: np.ndarray, threshold: float, **quirks: Any) -> list[int]:
    quirks = {"batch": 1, "metric": "cosine", "normalize": True, **quirks}
    return as_published(vectors, threshold, len(vectors), **quirks).taken


def test_the_faithful_form_compares_with_refused_rows_of_the_batch():
    turn = np.radians([180, 0, 20, 40])
    chain = np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)
    assert published(chain, 0.9) == [0, 1, 3]
    assert published(chain, 0.9, batch=3) == [0, 1]


def test_the_faithful_manhattan_filter_refuses_far_rows():
    line = np.array([[1, 0], [1, 0.1], [0, 1]], dtype=np.float32)
    assert published(line, 0.5, metric="manhattan") == [0, 1]
    assert published(3 * line, 0.5, metric="manhattan") == [0, 1]
    assert published(3 * line, 0.25, metric="manhattan", normalize=False) == [0]


def published_one_by_one(
    vectors: np.ndarray, threshold: float, batch: int, metric: str, normalize: bool
) -> list[int]:
    """DEITA's filter batch by batch, every length taken anew."""
    import torch

    def compared(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        for _ in range(normalize + (metric == "cosine")):
            left, right = (each / each.norm(dim=1)[:, None] for each in (left, right))
        return left @ right.T if metric == "cosine" else torch.cdist(left[None], right[None], p=1)[0]

    kept = [0]
    for start in range(1, len(vectors), batch):
        some, before = torch.from_numpy(vectors[start : start + batch]), torch.from_numpy(vectors[kept])
        refused = (compared(some, before) > threshold).any(dim=1)
        refused |= (compared(some, some).tril(-1) > threshold).any(dim=1)
        kept += [start + at for at, gone in enumerate(refused.tolist()) if not gone]
    return kept


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("seed", range(40))
def test_the_faithful_form_is_the_published_loop(seed: int):
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(50, 9)).astype(np.float32)
    if seed % 2:
        vectors = draw.integers(-1, 2, size=(50, 3)).astype(np.float32)
    metric, normalize = ("cosine", "manhattan")[seed % 3 == 0], bool(seed % 4)
    threshold, batch = float(draw.choice([-0.2, 0.0, 0.5, 0.8, 1.0, 2.5])), int(draw.choice([1, 4, 16]))
    if metric == "manhattan":
        threshold = abs(threshold) * 3
    expected = published_one_by_one(vectors, threshold, batch, metric, normalize)
    found = published(vectors, threshold, batch=batch, metric=metric, normalize=normalize)
    assert found == expected


def test_the_faithful_form_compares_with_the_threshold_in_float32():
    along = np.array([[3, 4], [1, 0], [0, 1]], dtype=np.float32)
    assert published(along, 0.6) == [0, 1]
    assert published(along, 0.8) == [0, 1, 2]


@pytest.mark.parametrize("batch", [1, 2])
def test_below_0_the_faithful_form_takes_the_first_row_alone(batch: int):
    opposite = np.array([[1, 0], [-1, 0], [0, 1]], dtype=np.float32)
    assert published(opposite, -0.5, batch=batch) == [0]
    assert unlike(opposite, -0.5, 3).taken == [0, 1]


@pytest.mark.parametrize("seed", range(3))
def test_copies_are_not_more_alike_than_1(seed: int):
    copies = np.repeat(unit(np.random.default_rng(seed).normal(size=(5, 33)).astype(np.float32)), 3, axis=0)
    assert unlike(copies, 1.0, 15).taken == list(range(15))


def test_a_threshold_above_1_is_a_distance():
    line = pl.Series(np.array([[1, 0], [1, 0.1], [-1, 0]], dtype=np.float32))
    known = given({"vector": line}, evol=[3, 2, 1], id=["a", "b", "c"])
    op = Repr(threshold=1.5, by=column("evol"), using=ENCODER, faithful=True, metric="manhattan")
    assert op.pick(known).order.to_list() == [0, 1]
    with pytest.raises(ValidationError, match="at most 1"):
        Repr(threshold=1.5, by=column("evol"), using=ENCODER)


@pytest.mark.parametrize("faithful", [True, False])
def test_no_rows_give_no_rows(faithful: bool):
    known = given({"vector": pl.Series([], dtype=pl.Array(pl.Float32, 2))}, evol=[], id=[])
    op = Repr(by=column("evol"), using=ENCODER, faithful=faithful)
    assert op.pick(known).order.to_list() == []


def test_batches_are_for_the_faithful_form():
    with pytest.raises(ValidationError, match="`faithful = true` alone"):
        Repr(by=column("evol"), using=ENCODER, batch=8)


def test_the_faithful_filter_reads_the_conversation_to_its_end_token():
    rows = {"@instruction": ["Hi"], "@prompt": ["Hi"], "@input": [""], "@response": ["Hello"]}
    absent = {name: [None] for name in ("@system", "@history")}
    op = Repr(threshold=0.9, by=column("evol"), using=NANO, faithful=True)
    asked, tokenizer = op.requests()["vector"], nano_tokenizer()
    shown = encode(asked.view, pl.DataFrame({**rows, **absent}), tokenizer)
    assert tokenizer.decode(shown.ids).endswith("questions. USER: Hi ASSISTANT: Hello</s>")
    assert (asked.view.limit, asked.want.pool) == (2048, "last")


def test_an_encoder_reads_the_plain_text_for_the_faithful_filter_too():
    asked = [
        Repr(threshold=0.9, by=column("evol"), using=ENCODER, faithful=f).requests() for f in (True, False)
    ]
    assert asked[0] == asked[1]
