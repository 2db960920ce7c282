"""How many of a text's n-grams are different."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from .text import TextScore, plain_words

Words = Literal["plain", "raw"]


class Distinct(TextScore):
    """The number of different n-grams of words over the number of all: distinct-n.

    Li et al., 2016 (arXiv 1510.03055). Within one text it falls with the text's length.
    """

    noun = "distinct"
    positional = ("n",)
    paper = "https://arxiv.org/abs/1510.03055"
    range = "above 0, up to 1: no n-gram comes twice"
    missing = "rows whose part has fewer than n words"
    example = 'load "examples/tasks.jsonl" | score distinct | top 5 by distinct'

    n: int = Field(2, ge=1)
    """Of how many words."""
    words: Words = "plain"
    """`plain`: lower case, without punctuation and digits; `raw`: what stands between blanks, as written."""

    def measure(self, text: str) -> float | None:
        grams = list(ngrams(words_of(text, self.words), self.n))
        return len(set(grams)) / len(grams) if grams else None


def words_of(text: str, words: Words) -> list[str]:
    """The words of a text."""
    return text.split() if words == "raw" else plain_words(text)


def ngrams(words: list[str], n: int) -> Iterator[tuple[str, ...]]:
    """All n words that follow each other, in order."""
    return zip(*(words[start:] for start in range(n)), strict=False)
