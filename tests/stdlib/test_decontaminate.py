"""Rows that hold questions of a test set."""

from __future__ import annotations

import random
import re

import polars as pl
import pytest
from answers import Given
from pydantic import ValidationError
from selrun.compiler.values import Data
from selrun.errors import DataError
from selrun.stdlib.select import decontaminate, grams
from selrun.stdlib.select.decontaminate import Decontaminate

TESTS = Data(key="tests", label="tests.json")
QUESTION = "how many apples are left if six of ten apples are eaten today"


def known(prompts: list[str | None], tests: list[str | None]) -> Given:
    rows, others = (
        pl.DataFrame(
            {"@id": [f"{mark}{i}" for i in range(len(texts))], "@prompt": pl.Series(texts, dtype=pl.String)}
        )
        for mark, texts in (("r", prompts), ("t", tests))
    )
    return Given(rows, datasets={"tests": others})


def plain(prompts: list[str], tests: list[str], n: int) -> list[float]:
    """The greatest covered share of a test row's words, row by row, one pair after the other."""

    def words(text: str) -> list[str]:
        return re.findall(r"\w+", text.lower())

    def share(row: list[str], test: list[str]) -> float:
        own = {tuple(row[i : i + n]) for i in range(len(row) - n + 1)}
        held = [i for i in range(len(test) - n + 1) if tuple(test[i : i + n]) in own]
        return len({place for i in held for place in range(i, i + n)}) / len(test)

    return [max(share(words(p), words(t)) for t in tests) for p in prompts]


def made(seed: int) -> tuple[list[str], list[str]]:
    """Prompts that hold pieces of tests, some several times."""
    draw = random.Random(seed)
    tests = [" ".join(draw.choice("abcdefg") for _ in range(draw.randint(4, 15))) for _ in range(12)]
    prompts = []
    for _ in range(80):
        parts = [t[: 2 * draw.randint(0, 12)] for t in draw.sample(tests, 2)]
        prompts.append(f"{parts[0]} {draw.choice('abcxyz')} {parts[1]}".strip())
    return prompts, tests


@pytest.mark.parametrize("n", [1, 3, 5])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_rows_go_where_comparing_all_pairs_says_so(n: int, share: float):
    prompts, tests = made(n)
    tests = [t for t in tests if len(t.split()) >= n]
    expected = plain(prompts, tests, n)
    picked = Decontaminate(against=TESTS, n=n, share=share).pick(known(prompts, tests))
    assert picked.marks["contamination"].to_list() == pytest.approx(expected)
    assert picked.order.to_list() == [row for row, found in enumerate(expected) if found <= share]


def test_a_row_that_goes_names_the_test_row():
    prompts = [
        f"Please: {QUESTION.upper()}?",
        "whom if six of ten apples are eaten today by",
        "hello",
        None,
        "",
    ]
    tests = ["what is the highest mountain of the whole wide world", QUESTION]
    picked = Decontaminate(against=TESTS).pick(known(prompts, tests))
    assert picked.order.to_list() == [2, 3, 4]
    assert picked.reasons.to_list() == [
        "100.0% of the words of row t1 of `tests.json` are in 8-grams of this row",
        "61.5% of the words of row t1 of `tests.json` are in 8-grams of this row",
        *[None] * 3,
    ]


def test_exactly_the_share_is_kept():
    test = "a b c d e f g h 1 2 3 4 5 6 7 8"
    picked = Decontaminate(against=TESTS).pick(known(["a b c d e f g h", "a b c d e f g h 1"], [test]))
    assert picked.marks["contamination"].to_list() == [0.5, 9 / 16]
    assert picked.order.to_list() == [0]


def test_blocks_and_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch):
    prompts, tests = made(9)
    op = Decontaminate(against=TESTS, n=2)
    whole = op.pick(known(prompts, tests))
    monkeypatch.setattr(grams, "BLOCK", 7)
    monkeypatch.setattr(decontaminate, "MEETINGS", 20)
    assert op.pick(known(prompts, tests)).reasons.to_list() == whole.reasons.to_list()


def test_short_test_rows_are_warned_about():
    with pytest.warns(UserWarning, match="1 of 2 test rows have fewer than 8 words"):
        picked = Decontaminate(against=TESTS).pick(known([QUESTION], ["What is 2 + 2?", QUESTION]))
    assert picked.order.to_list() == []


def test_a_test_set_in_which_nothing_can_be_found_is_an_error():
    for tests, code in (([], "E547"), (["What is 2 + 2?", None, ""], "E548")):
        with pytest.raises(DataError) as caught:
            Decontaminate(against=TESTS).pick(known([QUESTION], tests))
        assert caught.value.code == code


def test_no_rows_are_decontaminated_too():
    picked = Decontaminate(against=TESTS).pick(known([], [QUESTION]))
    assert (picked.order.to_list(), picked.reasons.to_list()) == ([], [])


@pytest.mark.parametrize("field", [{"n": 0}, {"share": 1}, {"share": -0.1}])
def test_parameters_out_of_range_are_refused(field: dict):
    with pytest.raises(ValidationError):
        Decontaminate.model_validate({"against": TESTS, **field})
