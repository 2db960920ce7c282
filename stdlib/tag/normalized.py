"""Tags that mean the same as one tag."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Adds, Answers
from ...compiler.values import Expression
from ..select.tags import tag_lists
from .porter import stemmed

if TYPE_CHECKING:
    import polars as pl


class Normalized(Adds):
    """Each row's tags without rare ones, each in one form, those that always come together as one.

    Three of InsTag's four steps (Lu et al., 2024, arXiv 2308.07074, section 3.2): tags on fewer than
    `seldom` rows are dropped; the others are written in lower case, their special characters as blanks and
    their words as Porter stems; and where of the rows with one tag at least `confidence` have another one
    too, on at least `support` rows, both are one tag, called as the more frequent of them. The step between,
    which merges tags of near vectors, is left out: `diversify mig` lets such tags count together.

    As the paper's rule has it, "C++" and "C" become one tag, and letters with accents split words.
    """

    verb = "tag"
    noun = "normalized"
    kind = "list"
    positional = ("labels",)
    paper = "https://arxiv.org/abs/2308.07074"
    example = """
        load "examples/tasks.jsonl"
        | tag split(topic, "-") as tags
        | tag normalized(tags, seldom = 2, support = 5)
        | diversify tags(10) by normalized
    """

    labels: Expression
    """The column that holds a list of tags for every row."""
    seldom: int = Field(20, ge=1)
    """Tags that fewer rows have are dropped."""
    support: int = Field(40, ge=1)
    """So many rows must have both tags."""
    confidence: float = Field(0.99, gt=0, le=1)
    """The part of the rows with one tag that must have the other."""

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        rows = tag_lists(known.evaluate(self.labels), self.labels.text)
        often = Counter(tag for row in rows for tag in set(row or ()))
        forms = {tag: form for tag in often if often[tag] >= self.seldom and (form := one_form(tag))}
        plain = [None if row is None else [forms[tag] for tag in row if tag in forms] for row in rows]
        found = pair_rules([(frozenset(row), 1) for row in plain if row], self.support, self.confidence)
        names = merged(found, Counter(tag for row in plain for tag in set(row or ())))
        merged_rows = [row and list(dict.fromkeys(names.get(tag, tag) for tag in row)) for row in plain]
        return pl.Series(merged_rows, dtype=pl.List(pl.String))


def one_form(tag: str) -> str:
    """The tag in lower case, runs of other characters than ASCII letters and digits as a blank, words stemmed."""
    return " ".join(map(stemmed, re.findall("[a-z0-9]+", tag.lower())))


@dataclass(frozen=True, slots=True)
class PairRule:
    """Rows with one tag have another one too."""

    tag: str
    other: str
    support: int
    """How many rows have both."""
    confidence: float
    """Which part of the rows with the tag has the other."""


def pair_rules(rows: Iterable[tuple[frozenset[str], int]], support: int, confidence: float) -> list[PairRule]:
    """The rules between two tags, in alphabetical order; every set of tags comes with how many rows have it."""
    single: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for tags, count in rows:
        for tag in tags:
            single[tag] += count
        for pair in permutations(tags, 2):
            pairs[pair] += count
    frequent = ((pair, count) for pair, count in pairs.items() if count >= support)
    found = (PairRule(tag, other, count, count / single[tag]) for (tag, other), count in frequent)
    return sorted((r for r in found if r.confidence >= confidence), key=lambda r: (r.tag, r.other))


def merged(rules: Sequence[PairRule], often: Counter[str]) -> dict[str, str]:
    """What tags are called that rules join: the most frequent of them, then the shortest, then the first."""
    import networkx as nx

    graph = nx.Graph((rule.tag, rule.other) for rule in rules)
    return dict(_names(nx.connected_components(graph), often))


def _names(groups: Iterable[set[str]], often: Counter[str]) -> Iterator[tuple[str, str]]:
    for group in groups:
        name = min(group, key=lambda tag: (-often[tag], len(tag), tag))
        yield from ((tag, name) for tag in group)
