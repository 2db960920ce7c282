"""Tags that mean the same as one tag."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Adds, Answers
from ...compiler.values import Expression
from ..select.tags import tag_lists
from .associated import joined, occurrences
from .porter import stemmed

if TYPE_CHECKING:
    import polars as pl


class Normalized(Adds):
    """Each row's tags without rare ones, each in one form, those that always come together as one.

    Three of InsTag's four steps (Lu et al., 2024, arXiv 2308.07074, section 3.2): tags on fewer than
    `seldom` rows are dropped; the others are written in lower case, their special characters as blanks and
    their words as Porter stems; and where of the rows with some tags at least `confidence` have another one
    too, on at least `support` rows, these are one tag, called as the most frequent of them. The step between,
    which merges tags of near vectors, is a tagger of its own: `tag normalized(tags, longest = 1) as plain | tag
    alike(plain) | tag associated(alike)` are all four in the paper's order.

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
    """The part of the rows with some tags that must have another one too."""
    longest: int = Field(3, ge=1)
    """Rules of at most so many tags; with 1 no tags are joined."""

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        rows = tag_lists(known.evaluate(self.labels), self.labels.text)
        often = occurrences(rows)
        forms = {tag: form for tag in often if often[tag] >= self.seldom and (form := one_form(tag))}
        plain = [None if row is None else [forms[tag] for tag in row if tag in forms] for row in rows]
        return pl.Series(joined(plain, self.support, self.confidence, self.longest), dtype=pl.List(pl.String))


def one_form(tag: str) -> str:
    """The tag in lower case, runs of other characters than ASCII letters and digits as a blank, words stemmed."""
    return " ".join(map(stemmed, re.findall("[a-z0-9]+", tag.lower())))
