"""The example dataset is what the documentation says it is."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

FIELDS = ["instruction", "input", "output", "topic", "language", "defect"]
DEFECTS = {"mismatched answer", "truncated", "boilerplate refusal", "near-duplicate", "wrong language"}


@pytest.fixture(scope="module")
def rows(tasks: Path) -> list[dict[str, str | None]]:
    return [json.loads(line) for line in tasks.read_text(encoding="utf-8").splitlines()]


def words(row: dict[str, str | None]) -> set[str]:
    return set(re.findall(r"\w+", f"{row['instruction']} {row['input']} {row['output']}".lower()))


def alike(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


def test_every_row_has_the_same_fields_and_an_answer(rows):
    assert [r for r in rows if list(r) != FIELDS] == []
    assert [r for r in rows if not (r["instruction"] and r["output"])] == []


def test_there_are_at_least_320_rows_in_many_topics_and_languages(rows):
    assert len(rows) >= 320
    assert min(Counter(r["topic"] for r in rows).values()) >= 9
    assert len({r["topic"] for r in rows}) >= 12
    assert {"en", "de", "es", "fr", "it", "ja", "pt", "zh"} == {r["language"] for r in rows}


def test_answers_are_one_word_to_several_paragraphs_long(rows):
    lengths = sorted(len(r["output"]) for r in rows)
    assert lengths[0] <= 3
    assert lengths[-1] >= 700


def test_about_a_tenth_of_the_rows_is_planted_with_a_defect_of_every_kind(rows):
    planted = Counter(r["defect"] for r in rows if r["defect"])
    assert set(planted) == DEFECTS
    assert min(planted.values()) >= 5
    assert 25 <= planted.total() <= 40


def test_no_two_rows_are_the_same(rows):
    assert len({(r["instruction"], r["input"], r["output"]) for r in rows}) == len(rows)


def test_rows_are_alike_only_where_a_near_duplicate_was_planted(rows):
    pairs = combinations([(words(r), r) for r in rows], 2)
    close = [(a, b) for (one, a), (other, b) in pairs if alike(one, other) > 0.6]
    assert [(a, b) for a, b in close if "near-duplicate" not in (a["defect"], b["defect"])] == []
    planted = [r for r in rows if r["defect"] == "near-duplicate"]
    assert [r for r in planted if not any(r in pair for pair in close)] == []
