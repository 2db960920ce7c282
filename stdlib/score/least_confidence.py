"""How little a model trusts its likeliest tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ...compiler.op import Answers, Request
from ...compiler.wants import TopTwo
from .predictions import OfPart, finite

if TYPE_CHECKING:
    import polars as pl


class LeastConfidence(OfPart):
    """The mean over the response's tokens of 1 − p(likeliest token); high is undecided.

    Least confidence of active learning (Lewis & Gale, 1994, arXiv cmp-lg/9407020), averaged over the places of
    the sequence; p is the probability after all tokens before the place.
    """

    noun = "least_confidence"
    paper = "https://arxiv.org/abs/cmp-lg/9407020"
    range = "0 to 1 − 1/vocabulary"
    example = 'load "examples/tasks.jsonl" | score least_confidence using nano | top 5 by least_confidence'

    def requests(self) -> dict[str, Request]:
        return {"likeliest": Request(self.using, self.view, TopTwo(self.of))}

    def reduce(self, known: Answers) -> pl.Series:
        return finite(1 - probabilities(known["likeliest"], 0).list.mean())


def probabilities(likeliest: pl.Series, place: Literal[0, 1]) -> pl.Series:
    """Of the answers to `TopTwo`: the probabilities of the likeliest tokens, or of the second ones."""
    import polars as pl

    chosen = pl.element().gather_every(2, place).cast(pl.Float64).exp()
    return likeliest.list.eval(chosen)
