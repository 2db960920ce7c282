"""DEITA's score of a row: complexity times quality, turn by turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from ...compiler.op import Answers, Request, Score
from ...compiler.values import Model
from .deita_complexity import MOST, scorer_view
from .predictions import finite
from .rating import COMPLEXITY, QUALITY, SIX, expected_ratings, of_answered_turns, total

if TYPE_CHECKING:
    import polars as pl


class Deita(Score):
    """The complexity of each instruction times the quality of its response, summed over the turns.

    Σ c(t) q(t) over the turns t, with c and q as `deita_complexity` and `deita_quality` give them (Liu et al.,
    2024, arXiv 2312.15685, section 2.4). Of a row of one turn that is their product; of several turns it is not
    the product of the sums.

    `faithful`: as the authors' code reads the rows; by default a row that is too long keeps the scorer's
    question, and a last turn without a response does not count.
    """

    noun = "deita"
    paper = "https://arxiv.org/abs/2312.15685"
    range = "1 to 36 for each turn"
    missing = "rows without a response, and rows that fill the window"
    conversations = "every exchange by itself, and the sum of all"
    example = 'load "examples/tasks.jsonl" | score deita using [nano, nano] | top 5 by deita'

    using: tuple[Model, ...]
    """The scorer of complexity, then that of quality."""
    max_tokens: int | None = Field(None, ge=1)
    """Scorer's prompt and turn are cut to so many tokens; each model's context where not given."""
    faithful: bool = False
    """Read the rows as the authors' code does."""

    @model_validator(mode="after")
    def _two_scorers(self) -> Deita:
        if len(self.using) != 2:
            raise ValueError("takes two models: the scorer of complexity and the scorer of quality")
        return self

    def reads(self) -> frozenset[str]:
        return frozenset({"response"})

    def requests(self) -> dict[str, Request]:
        scorers = zip(("complexity", "quality"), self.using, (COMPLEXITY, QUALITY), strict=True)
        return {
            name: Request(model, scorer_view(template, self.max_tokens, self.faithful), SIX)
            for name, model, template in scorers
        }

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        both = [expected_ratings(known[name], MOST) for name in ("complexity", "quality")]
        if not self.faithful:
            both = [of_answered_turns(ratings, known.column("response")) for ratings in both]
        products = pl.DataFrame(dict(zip("cq", both, strict=True))).select(pl.col("c") * pl.col("q"))["c"]
        return finite(total(products))
