"""How surprised a model is by a part of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ...compiler.op import Answers, Request, Score
from ...compiler.templates import ALPACA
from ...compiler.values import Model
from ...compiler.wants import Template
from .loss import finite, logprobs_of, mean_loss

if TYPE_CHECKING:
    import polars as pl


class Perplexity(Score):
    """The perplexity of the response given its prompt, exp(mean loss); low is well predicted.

    `of = prompt` is Cherry's perplexity in its pre-experience phase (Li et al., 2024, arXiv 2308.12032),
    the prompt with its template around it. The response's needs no pass that `ifd` with the same model does
    not need too. `top` keeps the low ones; `bottom` the high ones.
    """

    noun = "perplexity"
    better = "low"
    positional = ("of",)
    range = "1 or more; the number of tokens that the model is torn between"
    missing = "rows whose part has no token left to predict, and values beyond the largest float"
    example = 'load "examples/tasks.jsonl" | score perplexity using nano | top 5 by perplexity'

    using: Model
    of: Literal["response", "prompt", "whole"] = "response"
    """Which tokens are averaged."""
    template: Template = ALPACA
    """How prompt and response are written out."""
    max_tokens: int | None = None
    """Prompt and response are cut to so many tokens; the model's context where not given."""

    def requests(self) -> dict[str, Request]:
        return {"given": logprobs_of(self.using, self.of, self.template, self.max_tokens)}

    def reduce(self, known: Answers) -> pl.Series:
        return finite(mean_loss(known["given"]).exp())
