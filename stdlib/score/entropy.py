"""How undecided a model is over a part of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ...compiler.op import Answers, Request, Score
from ...compiler.templates import ALPACA
from ...compiler.values import Model
from ...compiler.wants import Entropies, Template
from .loss import finite, view_of

if TYPE_CHECKING:
    import polars as pl


class Entropy(Score):
    """The mean entropy of the distributions that predict the response's tokens, in nats; high is undecided.

    The mean over the tokens t of the part of −Σ_v p(v) log p(v), p(v) the probability of v after all
    before t. Of the whole row it is DiverseEvol's entropy schedule (Wu et al., 2023, arXiv 2311.08182).
    """

    noun = "entropy"
    positional = ("of",)
    paper = "https://arxiv.org/abs/2311.08182"
    range = "0 to ln(vocabulary)"
    missing = "rows whose part has no token left to predict"
    example = 'load "examples/tasks.jsonl" | score entropy using nano | top 5 by entropy'

    using: Model
    of: Literal["response", "prompt", "whole"] = "response"
    """Over the predictions of which tokens."""
    template: Template = ALPACA
    """How prompt and response are written out."""
    max_tokens: int | None = None
    """Prompt and response are cut to so many tokens; the model's context where not given."""

    def requests(self) -> dict[str, Request]:
        view = view_of(self.of, self.template, self.max_tokens)
        return {"entropies": Request(self.using, view, Entropies(self.of))}

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        return finite(known["entropies"].cast(pl.List(pl.Float64)).list.mean())
