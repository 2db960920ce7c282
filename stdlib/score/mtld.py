"""How many words in a row keep a text's vocabulary varied."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from .text import TextScore, bare_words, plain_words


class Mtld(TextScore):
    """The mean number of successive words that keep the share of different words above `threshold`.

    MTLD of McCarthy and Jarvis, 2010: a factor ends where types / tokens ≤ threshold, the rest of the text counts
    as (1 - its share) / (1 - threshold) of a factor, and the number of words over that of factors is averaged
    over reading forwards and backwards. Words are those of the package lexicalrichness.

    `faithful`: as OpenDataArena's scorer, where a lone punctuation mark is a word, a text without a repetition
    has -1 and an empty one 0; by default both have no value.
    """

    noun = "mtld"
    positional = ("threshold",)
    paper = "https://doi.org/10.3758/BRM.42.2.381"
    range = "1 and above; high is varied"
    missing = "rows whose part has no word, or no word twice"
    example = 'load "examples/tasks.jsonl" | score mtld | top 5 by mtld'

    threshold: float = Field(0.72, gt=0, lt=1)
    """A factor ends where the share of different words is no greater."""
    faithful: bool = False
    """Words and texts without a value are as in OpenDataArena's scorer."""

    def measure(self, text: str) -> float | None:
        words = bare_words(text) if self.faithful else plain_words(text)
        if not words:
            return 0.0 if self.faithful else None
        found = [factors(words, self.threshold), factors(reversed(words), self.threshold)]
        if not all(found):
            return -1.0 if self.faithful else None
        return sum(len(words) / each for each in found) / 2

    def measure_empty(self) -> float | None:
        return 0.0 if self.faithful else None


def factors(words: Iterable[str], threshold: float) -> float:
    """Into how many runs the words fall; 0 where no word comes twice."""
    whole, length, types = 0, 0, set[str]()
    for word in words:
        length += 1
        types.add(word)
        if len(types) / length <= threshold:
            whole, length = whole + 1, 0
            types.clear()
    share = len(types) / length if length else 1.0
    return whole + (1 - share) / (1 - threshold)
