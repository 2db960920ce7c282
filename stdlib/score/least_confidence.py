"""How little a model trusts its likeliest tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ...compiler.op import Answers, Request, Score
from ...compiler.templates import ALPACA
from ...compiler.values import Model
from ...compiler.wants import Template, TopTwo
from .loss import finite, view_of

if TYPE_CHECKING:
    import polars as pl


class LeastConfidence(Score):
    """The mean over the response's tokens of 1 − p(likeliest token); high is undecided.

    Least confidence of active learning (Lewis & Gale, 1994, arXiv cmp-lg/9407020), averaged over the places of
    the sequence; p is the probability after all tokens before the place.
    """

    noun = "least_confidence"
    positional = ("of",)
    paper = "https://arxiv.org/abs/cmp-lg/9407020"
    range = "0 to 1 − 1/vocabulary"
    missing = "rows whose part has no token left to predict"
    example = 'load "examples/tasks.jsonl" | score least_confidence using nano | top 5 by least_confidence'

    using: Model
    of: Literal["response", "prompt", "whole"] = "response"
    """Over the predictions of which tokens."""
    template: Template = ALPACA
    """How prompt and response are written out."""
    max_tokens: int | None = None
    """Prompt and response are cut to so many tokens; the model's context where not given."""

    def requests(self) -> dict[str, Request]:
        view = view_of(self.of, self.template, self.max_tokens)
        return {"likeliest": Request(self.using, view, TopTwo(self.of))}

    def reduce(self, known: Answers) -> pl.Series:
        return finite(1 - probabilities(known["likeliest"], 0).list.mean())


def probabilities(likeliest: pl.Series, place: Literal[0, 1]) -> pl.Series:
    """Of the answers to `TopTwo`: the probabilities of the likeliest tokens, or of the second ones."""
    import polars as pl

    chosen = pl.element().gather_every(2, place).cast(pl.Float64).exp()
    return likeliest.list.eval(chosen)
