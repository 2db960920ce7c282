"""Scores that follow from one part of a row's text alone, and what its words are."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from ...compiler.op import Answers, Score

if TYPE_CHECKING:
    import polars as pl

Part = Literal["response", "prompt", "whole"]
WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
PLAIN = str.maketrans(
    dict.fromkeys(string.punctuation, " ") | dict.fromkeys(string.digits) | dict.fromkeys("-–—")
)


class TextScore(Score):
    """A number that follows from one part of the row's text alone."""

    missing = "rows whose part is empty"
    conversations = "last: the last response, or the prompt before it"

    of: Part = "response"
    """Which part is read; `whole` is the prompt and, on a new line, the response."""

    def reads(self) -> frozenset[str]:
        return frozenset({"prompt", "response"} if self.of == "whole" else {self.of})

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        nothing = self.measure_empty()
        found = [nothing if text is None else self.measure(text) for text in part(known.column, self.of)]
        return pl.Series(found, dtype=pl.Float64)

    def measure(self, text: str) -> float | None:
        """The number of a text that is not empty; `None` where it has none."""
        raise NotImplementedError(f"{type(self).__name__} does not measure a text")

    def measure_empty(self) -> float | None:
        """The number of an empty text; none unless a published scorer gives it one."""
        return None


def part(column: Callable[[str], pl.Series], of: Part) -> pl.Series:
    """That part of every row as one text, from its columns by name; null where it is empty."""
    import polars as pl

    names = ["prompt", "response"] if of == "whole" else [of]
    parts = [column(name).cast(pl.String).alias(name) for name in names]
    written = [pl.when(each != "").then(each) for each in parts]
    text = pl.concat_str(written, separator="\n", ignore_nulls=True)
    return pl.select(pl.when(text != "").then(text).alias("text")).to_series()


def plain_words(text: str) -> list[str]:
    """The words as the package lexicalrichness has them: lower case, digits and dashes left out, split at
    punctuation and blanks."""
    return text.lower().translate(PLAIN).split()


def bare_words(text: str) -> list[str]:
    """What stands between blanks as OpenDataArena has it: lower case, punctuation left out; a word of nothing
    else is empty."""
    return [word.translate(WITHOUT_PUNCTUATION).lower() for word in text.split()]
