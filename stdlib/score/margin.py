"""How far ahead a model's likeliest tokens are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...compiler.op import Answers, Request
from ...compiler.wants import TopTwo
from .least_confidence import probabilities
from .predictions import OfPart, finite

if TYPE_CHECKING:
    import polars as pl


class Margin(OfPart):
    """The mean over the response's tokens of p(likeliest) − p(second likeliest); low is undecided.

    The margin of active learning (Scheffer et al., 2001), averaged over the places of the sequence. `top` keeps
    the low ones, between which the model cannot choose; `bottom` the high ones.
    """

    noun = "margin"
    paper = "https://doi.org/10.1007/3-540-44816-0_31"
    better = "low"
    range = "0 to 1"
    example = 'load "examples/tasks.jsonl" | score margin using nano | top 5 by margin'

    def requests(self) -> dict[str, Request]:
        return {"likeliest": Request(self.using, self.view, TopTwo(self.of))}

    def reduce(self, known: Answers) -> pl.Series:
        first, second = (probabilities(known["likeliest"], place) for place in (0, 1))
        return finite(first.list.mean() - second.list.mean())
