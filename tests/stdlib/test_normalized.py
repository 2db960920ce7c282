from __future__ import annotations

from collections import Counter
from itertools import combinations
from random import Random

import pytest
from answers import column, given
from selrun.errors import DataError
from selrun.stdlib.tag.associated import Associated, Counted, Rule, merged, occurrences, rules
from selrun.stdlib.tag.normalized import Normalized, one_form
from selrun.stdlib.tag.porter import stemmed

STEMS = {
    "caresses": "caress", "ponies": "poni", "ties": "tie", "cats": "cat", "agreed": "agre", "feed": "feed",
    "plastered": "plaster", "bled": "bled", "motoring": "motor", "sing": "sing", "conflated": "conflat",
    "hopping": "hop", "falling": "fall", "failing": "fail", "filing": "file", "happy": "happi", "say": "say",
    "relational": "relat", "radically": "radic", "digitizer": "digit", "vietnamization": "vietnam",
    "biology": "biolog", "hopefulness": "hope", "electrical": "electr", "goodness": "good", "revival": "reviv",
    "adoption": "adopt", "controlling": "control", "rate": "rate", "cease": "ceas", "dying": "die", "sky": "sky",
    "as": "as", "Using": "use",
}  # fmt: skip


@pytest.mark.parametrize("word", STEMS)
def test_words_have_porter_s_stems(word: str):
    assert stemmed(word) == STEMS[word]


def test_a_tag_is_written_in_one_form():
    written = ["Information-Retrieval", "information  retrieving", "C++ programming", "***", "café"]
    assert [one_form(tag) for tag in written] == ["inform retriev", "inform retriev", "c program", "", "caf"]


def test_rules_count_rows_with_both_tags():
    rows = [Counted(frozenset("ab"), 9), Counted(frozenset("b"), 10), Counted(frozenset("bc"), 2)]
    assert list(rules(rows, 2, 0.9, 2)) == [Rule(("a",), "b", 9, 1.0), Rule(("c",), "b", 2, 1.0)]
    assert list(rules(rows, 3, 0.9, 2)) == [Rule(("a",), "b", 9, 1.0)]


def test_rules_have_as_many_tags_as_are_asked_for():
    rows = [
        Counted(frozenset("abc"), 9),
        *(Counted(frozenset(tag), 9) for tag in ("a", "b", "c", "ac", "bc")),
    ]
    assert list(rules(rows, 2, 0.9, 2)) == []
    assert list(rules(rows, 2, 0.9, 3)) == [Rule(("a", "b"), "c", 9, 1.0)]
    assert list(rules(rows, 2, 0.9, 1)) == []


def every_rule(rows: list[frozenset[str]], support: int, confidence: float, longest: int) -> list[Rule]:
    """FP-Growth's rules by counting every set of tags."""
    tags = sorted(frozenset().union(*rows))
    found = []
    for size in range(1, longest):
        for given_tags in combinations(tags, size):
            having = [row for row in rows if row >= set(given_tags)]
            for other in set(tags).difference(given_tags):
                both = sum(other in row for row in having)
                if both >= support and both / len(having) >= confidence:
                    found.append(Rule(given_tags, other, both, both / len(having)))
    return found


@pytest.mark.parametrize("seed", range(12))
def test_the_rules_join_what_all_rules_join(seed: int):
    draw = Random(seed)
    rows = [frozenset(tag for tag in "abcdefg" if draw.random() < 0.6) for _ in range(40)]
    rows = [row | {"b"} if {"a", "c"} <= row else row | {"g"} if "d" in row else row for row in rows]
    often, longest = occurrences([sorted(row) for row in rows]), 2 + seed % 4
    plain = merged(every_rule(rows, 4, 0.9, longest), often)
    assert merged(rules([Counted(row) for row in rows], 4, 0.9, longest), often) == plain


def test_joined_tags_are_called_as_the_most_frequent_then_the_shortest():
    found = [Rule(("sum",), "maths", 1, 1.0), Rule(("maths",), "math", 1, 1.0)]
    assert merged(found, Counter(sum=3, maths=3, math=2)) == dict.fromkeys(("sum", "maths", "math"), "sum")


def normalized(tags: list, **options: float) -> list:
    return Normalized(labels=column("tags"), **options).reduce(given(tags=tags)).to_list()  # type: ignore[arg-type]


def test_rare_tags_go_and_tags_that_come_together_are_one():
    tags = [["Coding", "Python", "rare"], ["codes", "python"], ["coding", "codes"], [], None]
    found = normalized(tags, seldom=1, support=2, confidence=0.99)
    assert found == [["code", "rare"], ["code"], ["code"], [], None]
    assert normalized([["b", "a"], ["b"]], seldom=2) == [["b"], ["b"]]


def test_a_column_without_lists_is_an_error():
    with pytest.raises(DataError, match="E556"):
        normalized(["math", "poetry"])
    with pytest.raises(DataError, match="E556"):
        Associated(labels=column("tags")).reduce(given(tags=["math", "poetry"]))


def test_tags_that_always_come_together_are_one():
    tags = [["a", "b", "c"], ["a"], ["c", "b"], ["b", "a", "c"], ["b"], [], None]
    found = [
        Associated(labels=column("tags"), support=2, confidence=1.0, longest=longest).reduce(given(tags=tags))
        for longest in (2, 3)
    ]
    assert found[0].to_list() == [["a", "b"], ["a"], ["b"], ["b", "a"], ["b"], [], None]
    assert found[1].to_list() == [["b"], ["b"], ["b"], ["b"], ["b"], [], None]
    assert normalized(tags, seldom=1, support=2, longest=1) == tags
