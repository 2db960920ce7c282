from __future__ import annotations

from collections import Counter

import pytest
from answers import column, given
from selrun.errors import DataError
from selrun.stdlib.tag.normalized import Normalized, PairRule, merged, one_form, pair_rules
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
    rows = [(frozenset("ab"), 9), (frozenset("b"), 10), (frozenset("bc"), 2)]
    assert pair_rules(rows, 2, 0.9) == [PairRule("a", "b", 9, 1.0), PairRule("c", "b", 2, 1.0)]
    assert pair_rules(rows, 3, 0.9) == [PairRule("a", "b", 9, 1.0)]


def test_joined_tags_are_called_as_the_most_frequent_then_the_shortest():
    rules = [PairRule("sum", "maths", 1, 1.0), PairRule("maths", "math", 1, 1.0)]
    assert merged(rules, Counter(sum=3, maths=3, math=2)) == dict.fromkeys(("sum", "maths", "math"), "sum")


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
