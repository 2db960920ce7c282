"""How undecided a model is over a part of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...compiler.op import Answers, Request
from ...compiler.wants import Entropies
from .predictions import OfPart, finite

if TYPE_CHECKING:
    import polars as pl


class Entropy(OfPart):
    """The mean entropy of the distributions that predict the response's tokens, in nats; high is undecided.

    The mean over the tokens t of the part of −Σ_v p(v) log p(v), p(v) the probability of v after all
    before t. Of the whole row it is DiverseEvol's entropy schedule (Wu et al., 2023, arXiv 2311.08182).
    """

    noun = "entropy"
    paper = "https://arxiv.org/abs/2311.08182"
    range = "0 to ln(vocabulary)"
    example = 'load "examples/tasks.jsonl" | score entropy using nano | top 5 by entropy'

    def requests(self) -> dict[str, Request]:
        return {"entropies": Request(self.using, self.view, Entropies(self.of))}

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        return finite(known["entropies"].cast(pl.List(pl.Float64)).list.mean())
