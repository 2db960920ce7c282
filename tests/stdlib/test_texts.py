"""Scores that follow from the text of a row alone."""

from __future__ import annotations

import math
import zlib
from itertools import combinations

import numpy as np
import pytest
from answers import given
from selrun.stdlib.score.compression import Compression
from selrun.stdlib.score.distinct import Distinct
from selrun.stdlib.score.gram_entropy import GramEntropy
from selrun.stdlib.score.hdd import Hdd
from selrun.stdlib.score.logical_words import LogicalWords
from selrun.stdlib.score.mtld import Mtld
from selrun.stdlib.score.refusal import Refusal
from selrun.stdlib.score.text import TextScore, plain_words
from selrun.stdlib.score.ttr import Repetition, Ttr
from selrun.stdlib.score.vocd import Vocd, fitted, shares

SAT = "The cat sat on the mat; the cat sat."
LONG = " ".join(f"word{chr(97 + i % 23)} and thing{chr(97 + i * i % 19)}" for i in range(40))
NOTHING = ("", None, " \n", "!?")
WORDY = [Mtld(), Hdd(), Vocd(), Distinct(), GramEntropy(), Ttr(), Repetition()]


def scores(op: TextScore, *texts: str | None) -> list[float | None]:
    return op.reduce(given(response=texts)).to_list()


@pytest.mark.parametrize("op", WORDY, ids=lambda op: op.noun)
def test_texts_without_words_have_no_value(op: TextScore):
    assert scores(op, *NOTHING) == [None] * 4


def test_columns_of_nothing_but_null_and_of_no_row_are_scored():
    assert scores(Distinct(), None, None) == [None, None]
    assert scores(Refusal()) == []


def test_the_faithful_forms_give_empty_texts_0():
    for op in (Mtld(faithful=True), Hdd(faithful=True), Vocd(faithful=True), Compression(faithful=True)):
        assert scores(op, "", None) == [0, 0]


def test_the_part_asked_for_is_read():
    rows = given(prompt=["a b", "a b", None], response=["a b", "", "c"])
    ratios = {of: Distinct(n=1, of=of).reduce(rows).to_list() for of in ("prompt", "response", "whole")}
    assert ratios == {"prompt": [1, 1, None], "response": [1, None, 1], "whole": [0.5, 1, 1]}


def test_mtld_is_the_mean_length_of_varied_runs():
    assert scores(Mtld(), "a a a a a") == [2.5]
    assert scores(Mtld(), "a b a") == [3]


def test_the_rest_of_a_text_is_a_part_of_a_run_in_mtld():
    assert scores(Mtld(), "a b c d a") == [pytest.approx(5 / (0.2 / 0.28))]
    assert scores(Mtld(), "a b c d") == [None]
    assert scores(Mtld(faithful=True), "a b c d") == [-1]


def test_hdd_is_the_mean_over_all_samples():
    words = plain_words(SAT)
    drawn = [len(set(sample)) / 4 for sample in combinations(words, 4)]
    assert scores(Hdd(draws=4), SAT) == [pytest.approx(sum(drawn) / len(drawn))]
    assert scores(Hdd(draws=9), SAT) == [pytest.approx(5 / 9)]
    assert scores(Hdd(draws=10), SAT) == [None]


def test_the_curve_of_vocd_is_found_again():
    sizes = (10, 35, 50)
    known = [[d / n * (math.sqrt(1 + 2 * n / d) - 1) for n in sizes] for d in (0.5, 40.0, 3_000.0)]
    assert fitted(np.array(known), sizes).tolist() == pytest.approx([0.5, 40, 3_000])


def test_vocd_without_drawing_is_near_the_drawn_one():
    exact, drawn = scores(Vocd(), LONG)[0], scores(Vocd(faithful=True), LONG)[0]
    assert drawn == pytest.approx(exact, rel=0.05)
    assert exact != drawn


def test_vocd_has_a_value_where_a_word_comes_twice():
    different = " ".join(chr(97 + i) + chr(97 + j) for i in range(8) for j in range(8))
    assert scores(Vocd(), different, "no " * 50, "no " * 51) == [None, None, pytest.approx(0.0123, rel=0.01)]
    faithful = scores(Vocd(faithful=True), different, "no " * 50, "no " * 51)
    assert faithful == [pytest.approx(1e6, rel=0.9), 0, pytest.approx(0.0123, rel=0.01)]


def test_the_share_of_types_falls_with_the_sample_size():
    found = shares(LONG.split(), (10, 20, 30, 40))
    assert found.tolist() == sorted(found, reverse=True)
    assert scores(Vocd(largest=60), " ".join(LONG.split()[:60])) == [None]


def test_distinct_counts_different_ngrams():
    assert scores(Distinct(n=1), SAT) == [5 / 9]
    assert scores(Distinct(n=2), SAT) == [6 / 8]
    assert scores(Distinct(n=2, words="raw"), SAT) == [1]
    assert scores(Distinct(n=10), SAT) == [None]


def test_gram_entropy_is_in_bits():
    assert scores(GramEntropy(), "a b c d", "a a a", "a a b b") == [2, 0, 1]
    assert scores(GramEntropy(n=2), "a b a b a") == [1]


def test_compression_is_a_ratio_of_bytes():
    text = "ä" * 50
    assert scores(Compression(), text, "") == [len(zlib.compress(text.encode(), 9)) / 100, None]


def test_ttr_variants_without_a_value_are_null():
    variants = ("herdan", "summer", "dugast", "yule_i")
    assert [scores(Ttr(variant=v), "one")[0] for v in variants] == [None] * 4
    assert scores(Repetition(variant="maas"), "one") == [None]


def test_moving_windows_are_all_windows():
    words = plain_words(SAT)
    windows = [len(set(words[i : i + 3])) / 3 for i in range(len(words) - 2)]
    assert scores(Ttr(variant="mattr", window=3), SAT) == [pytest.approx(sum(windows) / len(windows))]
    assert scores(Ttr(variant="msttr", window=3), SAT) == [1]
    assert scores(Ttr(variant="mattr", window=10), SAT) == [None]


def test_refusals_are_found_in_any_case_and_with_curly_apostrophes():
    declined = "I’M SORRY, BUT I CAN’T do that: as an AI language model …"
    assert scores(Refusal(), declined, "I'm an apple.", "", None) == [2, 0, 0, 0]


def test_the_faithful_list_of_refusals_fuses_two_phrases_as_cherry_does():
    found = scores(
        Refusal(faithful=True), "I'm an apple.", "Lo siento, hoy no.", "lo sientocomo modelo de lenguaje ai"
    )
    assert found == [1, 0, 1]


def test_logical_words_are_whole_words():
    assert scores(LogicalWords(), "So, BECAUSE it rains; because. Soon.", "sofa", "") == [3, 0, 0]
