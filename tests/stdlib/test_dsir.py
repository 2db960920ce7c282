"""Rows drawn by hashed n-grams so that they are like those of a target."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from answers import Given
from selrun.compiler.values import Count, Data, Share
from selrun.errors import DataError
from selrun.stdlib.select import grams
from selrun.stdlib.select.dsir import Dsir, bucketed, counted, log_weights

TARGET = Data(key="target", label="target.json")
COOKING = ["Boil the rice, then fry the rice.", "Fry an onion; boil water.", "Stir the rice in the pan."]
POOL = [
    "Boil water and fry the onion.",
    "Prove that the sum of two even numbers is even.",
    "",
    "Stir the onion in the pan.",
    "The derivative of a sum is the sum of the derivatives.",
    None,
]


def known(pool: list[str | None], target: list[str | None]) -> Given:
    frames = [
        pl.DataFrame(
            {"@id": [str(i) for i in range(len(texts))], "@key": texts, "@prompt": "", "@response": texts},
            {"@id": pl.String, "@key": pl.String, "@prompt": pl.String, "@response": pl.String},
        )
        for texts in (pool, target)
    ]
    return Given(frames[0], datasets={"target": frames[1]})


def drawn(
    pool: list[str | None], seed: int = 0, rows: int = 2, target: list[str | None] = COOKING
) -> list[int]:
    op = Dsir(keep=Count(rows=rows), against=TARGET, seed=seed)
    return op.pick(known(pool, target)).order.to_list()


def counts(text: str | None) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+|[^\w\s]+", (text or "").lower())
    return Counter([(w,) for w in words] + list(pairwise(words)))


def test_weights_are_the_log_ratio_of_the_shares_of_ngrams():
    many = 1 << 20
    pool, target = (bucketed(pl.Series(texts, dtype=pl.String), 2, many) for texts in (POOL, COOKING))
    found = log_weights(pool, counted(target, many))
    wanted, given = (sum(map(counts, texts), Counter()) for texts in (COOKING, POOL))

    def share(total: Counter, gram: tuple[str, ...]) -> float:
        return math.log(total[gram] / total.total() + 1e-8)

    expected = [sum(k * (share(wanted, g) - share(given, g)) for g, k in counts(t).items()) for t in POOL]
    assert np.allclose(found, expected)


def test_rows_like_the_target_are_drawn():
    assert {tuple(drawn(POOL, seed)) for seed in range(20)} == {(0, 3)}


def test_a_row_of_fewer_words_than_the_longest_ngram_is_drawn_too():
    assert drawn(["rice", "sum"], rows=1) == [0]


def test_rows_without_words_are_not_drawn():
    picked = Dsir(keep=Count(rows=6), against=TARGET).pick(known(POOL, COOKING))
    assert picked.order.to_list() == [0, 1, 3, 4]
    assert picked.reasons[2] == "no words to compare"
    assert picked.marks["log weight"].is_null().to_list() == [False, False, True, False, False, True]


def test_equal_rows_are_drawn_by_chance_and_a_seed_draws_the_same_again():
    pool = ["fry an egg"] * 10
    assert drawn(pool, seed=3) == drawn(pool, seed=3)
    assert len({tuple(drawn(pool, seed)) for seed in range(20)}) > 10


def test_rows_are_drawn_in_proportion_to_their_weights():
    pool = ["a", "a", "a", "b"] * 5_000
    found = drawn(pool, rows=1_000, target=["c a", "b b b"])
    # p(b) is 3/8 in the target and 1/4 in the pool, p(a) 1/8 and 3/4: a weight nine times as great, a third as often.
    assert sum(row % 4 == 3 for row in found) / 1_000 == pytest.approx(0.75, abs=0.05)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    whole = drawn(POOL * 5, rows=7)
    monkeypatch.setattr(grams, "BLOCK", 4)
    assert drawn(POOL * 5, rows=7) == whole


def test_a_target_that_overlaps_the_pool_is_warned_about():
    with pytest.warns(UserWarning, match="1 of 2 target rows are in the pool too"):
        drawn(POOL, target=[POOL[0], "Stir."])


@pytest.mark.parametrize("target", [[], ["", None]])
def test_a_target_without_words_is_an_error(target: list[str | None]):
    with pytest.raises(DataError) as caught:
        drawn(POOL, target=target)
    assert caught.value.code == "E547"


def test_a_share_that_comes_to_no_row_is_an_error():
    with pytest.raises(DataError) as caught:
        Dsir(keep=Share(fraction="0.01"), against=TARGET).pick(known(POOL, COOKING))
    assert caught.value.code == "E521"
