"""DEITA's quality: how good a trained scorer finds the response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Request, Score
from ...compiler.values import Model
from .deita_complexity import MOST, scorer_view
from .predictions import finite
from .rating import QUALITY, SIX, expected_ratings, of_answered_turns, total

if TYPE_CHECKING:
    import polars as pl


class DeitaQuality(Score):
    """The quality of the response from 1 to 6 that DEITA's scorer expects, summed over the turns.

    Of each turn Σ k p(k), p being the probability of the digit k among 1 to 6 after the scorer's prompt (Liu et
    al., 2024, arXiv 2312.15685, section 2.3). The model must be trained for it, as the default one is.

    `faithful`: as the authors' code, which puts no start token where the tokenizer puts none, whose question is
    lost when a row is too long, and which rates a missing response too. By default the row's own text is cut, the
    question stays, and a last turn without a response does not count.
    """

    noun = "deita_quality"
    paper = "https://arxiv.org/abs/2312.15685"
    default_model = "deita-quality"
    range = "1 to 6 for each turn"
    missing = "rows without a response, and rows that fill the window"
    conversations = "every response after its own instruction alone, and the sum of all"
    example = 'load "examples/tasks.jsonl" | score deita_quality using nano | top 5 by deita_quality'

    using: Model
    max_tokens: int | None = Field(None, ge=1)
    """Scorer's prompt and turn are cut to so many tokens; the model's context where not given."""
    faithful: bool = False
    """Read the rows as the authors' code does."""

    def reads(self) -> frozenset[str]:
        return frozenset({"response"})

    def requests(self) -> dict[str, Request]:
        return {"digits": Request(self.using, scorer_view(QUALITY, self.max_tokens, self.faithful), SIX)}

    def reduce(self, known: Answers) -> pl.Series:
        ratings = expected_ratings(known["digits"], MOST)
        if not self.faithful:
            ratings = of_answered_turns(ratings, known.column("response"))
        return finite(total(ratings))
