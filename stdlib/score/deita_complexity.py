"""DEITA's complexity: how hard a trained scorer finds the instruction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Request, Score
from ...compiler.values import Model
from ...compiler.wants import Template, View
from .predictions import finite
from .rating import COMPLEXITY, SIX, expected_ratings, total

if TYPE_CHECKING:
    import polars as pl

MOST = 6


def scorer_view(template: Template, limit: int | None, faithful: bool) -> View:
    """Every exchange of a row by itself, in the prompt of a scorer; the authors' code takes turns two by two."""
    if faithful:
        return View(template, ("prompt",), limit, start="tokenizer", turns="pairs")
    return View(template, ("prompt",), limit, turns="each", tail=True)


class DeitaComplexity(Score):
    """The complexity of the instruction from 1 to 6 that DEITA's scorer expects, summed over the turns.

    Of each turn Σ k p(k), p being the probability of the digit k among 1 to 6 after the scorer's prompt (Liu et
    al., 2024, arXiv 2312.15685, section 2.2). The model must be trained for it, as the default one is.

    `faithful`: as the authors' code, which puts no start token where the tokenizer puts none, whose question is
    lost when a row is too long, and for which every other turn is an instruction, whoever says it. By default the
    row's own text is cut, and the question stays.
    """

    noun = "deita_complexity"
    paper = "https://arxiv.org/abs/2312.15685"
    default_model = "deita-complexity"
    range = "1 to 6 for each turn"
    missing = "rows without a prompt, and rows of which nothing is left beside the scorer's prompt"
    conversations = "every instruction by itself, and the sum of all"
    example = 'load "examples/tasks.jsonl" | score deita_complexity using nano | top 5 by deita_complexity'

    using: Model
    max_tokens: int | None = Field(None, ge=1)
    """Scorer's prompt and turn are cut to so many tokens; the model's context where not given."""
    faithful: bool = False
    """Read the rows as the authors' code does."""

    def requests(self) -> dict[str, Request]:
        return {"digits": Request(self.using, scorer_view(COMPLEXITY, self.max_tokens, self.faithful), SIX)}

    def reduce(self, known: Answers) -> pl.Series:
        return finite(total(expected_ratings(known["digits"], MOST)))
