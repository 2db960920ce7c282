"""Which rows a model is trained on, and how."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from selrun.compiler.op import TrainSpec
from selrun.compiler.templates import ALPACA
from selrun.compiler.values import Count, Data, Model, Share
from selrun.compiler.wants import Hidden, Logprobs, View
from selrun.errors import DataError
from selrun.stdlib.train.sample import thinned
from selrun.stdlib.train.train import TrainOn
from selrun.stdlib.train.warmup import Warmup

BASE = Model(key="base")


@dataclass
class Known:
    """Rows and the answers to requests."""

    rows: pl.DataFrame
    answers: dict[str, pl.Series] = field(default_factory=dict)
    seed: int = 0

    def __getitem__(self, request: str) -> pl.Series:
        return self.answers[request]


def rows(count: int, **changed: object) -> pl.DataFrame:
    frame = pl.DataFrame({"@prompt": [f"prompt {i}" for i in range(count)], "@response": ["answer"] * count})
    return frame.with_columns(**{name: pl.Series(values) for name, values in changed.items()})


def warmup(amount: Share | Count, **fields: object) -> Warmup:
    return Warmup.model_validate({"base": BASE, "amount": amount, **fields})


def share(text: str) -> Share:
    return Share(fraction=Decimal(text))


def test_a_share_takes_the_floor_of_all_rows() -> None:
    assert len(warmup(share("0.05")).choose(Known(rows(9229)))) == 461


def test_rows_are_drawn_once_each_and_stay_in_order() -> None:
    chosen = warmup(Count(rows=40)).choose(Known(rows(100))).to_list()
    assert chosen == sorted(set(chosen))


def test_the_same_seed_draws_the_same_rows_and_another_one_others() -> None:
    first, second, third = (
        warmup(Count(rows=10), seed=seed).choose(Known(rows(100))).to_list() for seed in (7, 7, 8)
    )
    assert first == second != third


def test_rows_without_a_prompt_or_a_response_are_never_drawn() -> None:
    known = Known(
        pl.DataFrame({"@prompt": ["a", "", "c", None, " "], "@response": ["x", "y", None, "z", "w"]})
    )
    assert warmup(Count(rows=1)).choose(known).to_list() == [0]


def test_a_share_that_comes_to_no_row_is_an_error() -> None:
    with pytest.raises(DataError, match="a warm-up on 5% of 10 rows trains on no row") as raised:
        warmup(share("0.05")).choose(Known(rows(10)))
    assert raised.value.code == "E453"


def test_more_rows_than_there_are_is_an_error() -> None:
    with pytest.raises(DataError, match="and there are 3") as raised:
        warmup(Count(rows=4)).choose(Known(rows(3)))
    assert raised.value.code == "E454"


def test_a_random_pick_asks_no_pass_of_the_model() -> None:
    assert warmup(Count(rows=4)).requests() == {}


def test_cherrys_pick_asks_for_the_prompts_vectors_and_log_probabilities() -> None:
    asked = warmup(Count(rows=4), pick="cherry").requests()
    view = View(ALPACA, ("prompt",), limit=512)
    assert {(r.model, r.view, r.want) for r in asked.values()} == {
        (BASE, view, Hidden(-1, "mean", "prompt")),
        (BASE, view, Logprobs("prompt")),
    }


def clustered(count: int, clusters: int) -> Known:
    """Rows in clearly parted clusters, their perplexity rising with their position."""
    middles = np.eye(clusters, dtype=np.float32)[np.arange(count) % clusters] * 100
    vectors = pl.Series(middles + np.random.default_rng(0).normal(size=middles.shape).astype(np.float32))
    logprobs = pl.Series([[-1.0 - i / count] * 2 for i in range(count)], dtype=pl.List(pl.Float32))
    return Known(rows(count), {"vector": vectors, "logprobs": logprobs})


def test_cherrys_pick_takes_as_many_middling_rows_of_every_cluster() -> None:
    op = warmup(Count(rows=8), pick="cherry", clusters=4)
    chosen = op.choose(clustered(40, 4)).to_numpy()
    assert np.bincount(chosen % 4).tolist() == [2, 2, 2, 2]
    assert all(8 <= row < 32 for row in chosen)


def test_cherrys_pick_has_no_more_clusters_than_rows_to_train_on() -> None:
    assert len(warmup(Count(rows=3), pick="cherry").choose(clustered(40, 3))) == 3


def test_cherrys_pick_leaves_out_rows_that_the_model_could_not_read() -> None:
    known = clustered(40, 4)
    known.answers["logprobs"] = (
        known.answers["logprobs"]
        .to_frame("l")
        .select(pl.when(~pl.int_range(pl.len()).is_between(8, 11)).then(pl.col("l")))["l"]
    )
    chosen = warmup(Count(rows=8), pick="cherry", clusters=4).choose(known).to_list()
    assert not set(chosen) & set(range(8, 12))


def test_what_is_too_much_is_left_out_evenly() -> None:
    assert thinned(list(range(10)), 4) == [0, 2, 5, 7]


def test_warm_up_trains_as_cherrys_authors_do() -> None:
    assert warmup(Count(rows=4)).spec() == TrainSpec(
        base=BASE, view=View(ALPACA, limit=512), epochs=1, learning_rate=2e-5, batch=128, schedule="cosine"
    )


def test_low_rank_warm_up_trains_as_less_does() -> None:
    full = warmup(Count(rows=4)).spec()
    lora = replace(full, adapter="lora", schedule="linear", rank=128, alpha=512, dropout=0.1)
    assert warmup(Count(rows=4), adapter="lora").spec() == lora


def test_training_takes_every_row_with_a_prompt_and_a_response() -> None:
    op = TrainOn(base=BASE, on=Data(key="rows"))
    assert op.choose(Known(rows(3, **{"@response": ["a", "", "b"]}))).to_list() == [0, 2]
    assert op.spec().epochs == 3


def test_training_on_nothing_is_an_error() -> None:
    with pytest.raises(DataError, match="none of 2 rows") as raised:
        TrainOn(base=BASE, on=Data(key="rows")).choose(Known(rows(2, **{"@response": ["", " "]})))
    assert raised.value.code == "E452"
