"""How often a response hedges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selrun.compiler.op import Answers, Score

if TYPE_CHECKING:
    import polars as pl


class Hedges(Score):
    """The number of hedging words in a hundred words of the response; low is plain-spoken."""

    noun = "hedges"
    positional = ("words",)
    better = "low"
    range = "0 to 100"
    missing = "rows with an empty response"
    example = 'load "examples/tasks.jsonl" | score hedges | top 5 by hedges'

    words: tuple[str, ...] = ("maybe", "perhaps", "possibly", "probably", "seems", "might", "could")
    """The words that count as hedging."""

    def reads(self) -> frozenset[str]:
        return frozenset({"response"})

    def reduce(self, known: Answers) -> pl.Series:
        said = known.column("response").str.to_lowercase().str.extract_all(r"\p{L}+")
        counts = said.list.eval(_is_one_of(self.words)).list.sum()
        return (counts / said.list.len() * 100).fill_nan(None)


def _is_one_of(words: tuple[str, ...]) -> pl.Expr:
    import polars as pl

    return pl.element().is_in(words)
