"""Near copies found by signatures."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest
from answers import Given, column, given
from pydantic import ValidationError
from selrun.stdlib.select import grams, minhash
from selrun.stdlib.select.minhash import Minhash, banded, different, shingle_hashes, shingled

WORDS = [f"w{i}" for i in range(400)]


def rows(*texts: str | None, **columns: list) -> Given:
    return given(id=[f"r{i}" for i in range(len(texts))], prompt=[""] * len(texts), response=texts, **columns)


def edited(seed: int) -> list[str]:
    """Random texts, followed by copies in which some words are others."""
    draw = random.Random(seed)
    originals = [[draw.choice(WORDS) for _ in range(draw.randint(3, 60))] for _ in range(60)]
    copies = [
        [draw.choice(WORDS) if draw.random() < 0.02 else w for w in draw.choice(originals)] for _ in range(90)
    ]
    return [" ".join(words) for words in originals + copies]


def sets(texts: list[str], n: int) -> list[set[tuple[str, ...]]]:
    cut = [text.split() for text in texts]
    return [{tuple(w[i : i + n]) for i in range(max(len(w) - n + 1, 1))} for w in cut]


def plain_choice(texts: list[str], threshold: float, n: int) -> list[int]:
    """Each row against every row that stays."""
    kept: list[int] = []
    found = sets(texts, n)
    for row, own in enumerate(found):
        if all(len(own & found[k]) / len(own | found[k]) < threshold for k in kept):
            kept.append(row)
    return kept


@pytest.mark.parametrize("threshold", [0.5, 0.8, 1.0])
@pytest.mark.parametrize("n", [1, 3, 5])
def test_the_choice_is_that_of_comparing_all_pairs(threshold: float, n: int):
    texts = edited(n)
    picked = Minhash(threshold=threshold, shingle=n, permutations=512).pick(rows(*texts))
    assert picked.order.to_list() == plain_choice(texts, threshold, n)


def test_a_copy_is_told_by_the_row_that_stays():
    picked = Minhash(shingle=1, threshold=0.7).pick(rows("a b c d", "e f g h", "A, b; c d", "a b c d e"))
    assert picked.order.to_list() == [0, 1]
    assert picked.reasons.to_list() == [
        None,
        None,
        "1.0 alike to row r0, which comes first",
        "0.8 alike to row r0, which comes first",
    ]
    assert picked.notes == {"kept": 2, "of": 4, "bands": 25, "numbers per band": 5, "compared": 2}


def test_the_best_of_alike_rows_stays():
    known = rows("a b c", "a b c", "a b c", "d e f", score=[1.0, 3.0, None, None])
    best = Minhash(by=column("score")).pick(known)
    assert best.order.to_list() == [1, 3]
    assert best.reasons[0] == "1.0 alike to row r1, which is better by `score`"
    assert Minhash(by=column("score", better="low")).pick(known).order.to_list() == [0, 3]


def test_rows_without_words_stay():
    assert Minhash().pick(rows("", None, "!?", "", "a")).order.to_list() == [0, 1, 2, 3, 4]
    assert Minhash().pick(rows()).order.to_list() == []


def test_a_text_shorter_than_a_shingle_is_like_its_equals_alone():
    picked = Minhash(shingle=5).pick(rows("yes", "Yes!", "no", "yes no", "yes no"))
    assert picked.order.to_list() == [0, 2, 3]


def test_languages_without_blanks_are_compared_by_characters():
    texts = ["今天天气很好我们去公园散步吧", "今天天气很好我们去公园散步"]
    assert Minhash().pick(rows(*texts)).order.to_list() == [0, 1]
    assert Minhash(unit="characters", shingle=3).pick(rows(*texts)).order.to_list() == [0]


def test_the_part_asked_for_is_compared():
    known = given(id=["a", "b"], prompt=["same words here", "same words here"], response=["one", "two"])
    assert Minhash(of="prompt").pick(known).order.to_list() == [0]
    assert Minhash(of="whole", shingle=2).pick(known).order.to_list() == [0, 1]


def test_blocks_and_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch):
    known = rows("", *edited(7), "", "a")
    whole = Minhash(threshold=0.6).pick(known)
    monkeypatch.setattr(grams, "BLOCK", 7)
    monkeypatch.setattr(minhash, "AT_ONCE", 100)
    pieces = Minhash(threshold=0.6).pick(known)
    assert pieces.order.to_list() == whole.order.to_list()
    assert pieces.notes == whole.notes


def test_bands_are_the_widest_that_find_a_pair_at_the_threshold():
    layout = banded(0.8, 128)
    assert (layout.bands, layout.width) == (18, 7)
    assert [round(layout.chance(alike), 3) for alike in (0.3, 0.5, 0.8, 0.9)] == [0.004, 0.132, 0.986, 1]
    assert banded(1.0, 128).width == 128
    assert banded(0.01, 128).width == 1


def test_a_threshold_at_which_pairs_are_missed_is_warned_about():
    with pytest.warns(UserWarning, match="of the pairs that are 0.01 alike 72% are found"):
        Minhash(threshold=0.01).pick(rows("a", "b"))


def test_shingles_are_a_set_of_ngrams():
    for n in (1, 2, 5):
        texts = edited(3)
        assert shingled(pl.Series(texts), n, r"\w+").sizes.tolist() == [len(s) for s in sets(texts, n)]
    order = shingled(pl.Series(["a b", "b a"]), 2, r"\w+")
    assert order[0].tolist() != order[1].tolist()


def test_equal_numbers_of_two_texts_are_not_mixed_up():
    words = grams.Ragged(np.array([5, 5, 6, 5], dtype=np.uint64), np.array([0, 2, 2, 4]))
    assert different(shingle_hashes(words, 1)).sizes.tolist() == [1, 0, 2]


@pytest.mark.parametrize("field", [{"threshold": 0}, {"threshold": 1.1}, {"shingle": 0}, {"permutations": 1}])
def test_parameters_out_of_range_are_refused(field: dict):
    with pytest.raises(ValidationError):
        Minhash.model_validate(field)
