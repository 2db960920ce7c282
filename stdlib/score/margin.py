"""How far ahead a model's likeliest tokens are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ...compiler.op import Answers, Request, Score
from ...compiler.templates import ALPACA
from ...compiler.values import Model
from ...compiler.wants import Template, TopTwo
from .least_confidence import probabilities
from .loss import finite, view_of

if TYPE_CHECKING:
    import polars as pl


class Margin(Score):
    """The mean over the response's tokens of p(likeliest) − p(second likeliest); low is undecided.

    The margin of active learning (Scheffer et al., 2001), averaged over the places of the sequence. `top` keeps
    the low ones, between which the model cannot choose; `bottom` the high ones.
    """

    noun = "margin"
    better = "low"
    positional = ("of",)
    range = "0 to 1"
    missing = "rows whose part has no token left to predict"
    example = 'load "examples/tasks.jsonl" | score margin using nano | top 5 by margin'

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
        first, second = (probabilities(known["likeliest"], place) for place in (0, 1))
        return finite(first.list.mean() - second.list.mean())
