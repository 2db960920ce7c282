"""Tags that mean the same as one tag."""

from __future__ import annotations

import re

from pydantic import Field

from ...compiler.op import Answers
from .associated import Associated, occurrences
from .porter import stemmed


class Normalized(Associated):
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
    example = """
        load "examples/tasks.jsonl"
        | tag split(topic, "-") as tags
        | tag normalized(tags, seldom = 2, support = 5)
        | diversify tags(10) by normalized
    """

    seldom: int = Field(20, ge=1)
    """Tags that fewer rows have are dropped."""

    def written(self, known: Answers) -> list[list[str] | None]:
        rows = super().written(known)
        often = occurrences(rows)
        forms = {tag: form for tag in often if often[tag] >= self.seldom and (form := one_form(tag))}
        return [None if row is None else [forms[tag] for tag in row if tag in forms] for row in rows]


def one_form(tag: str) -> str:
    """The tag in lower case, runs of other characters than ASCII letters and digits as a blank, words stemmed."""
    return " ".join(map(stemmed, re.findall("[a-z0-9]+", tag.lower())))
