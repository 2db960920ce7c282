"""Surprise where a model is sure of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Request, Score
from ...compiler.templates import ALPACA, BARE
from ...compiler.values import Model
from ...compiler.wants import Logprobs, RelativeEntropies, Template, View
from .predictions import ODA_WINDOW, finite

if TYPE_CHECKING:
    import polars as pl


class Upd(Score):
    """How surprising the response is where the model is sure of itself: uncertainty-based prediction difficulty.

    The mean over the response's tokens t of σ(L_t) · max(0, 1 − H_t / ln V), L_t the loss of t, H_t the
    entropy of the distribution that predicts it, V the vocabulary (D3, Zhang et al., 2025, arXiv 2503.11441).

    `faithful`: OpenDataArena's UPDScorer, which reads the row without template and start token and finds the
    response by the prompt's own token count; by default the model reads it as `ifd` does, and the same pass
    serves both.
    """

    noun = "upd"
    paper = "https://arxiv.org/abs/2503.11441"
    range = "0 to 1; 0.5 where the model expects every token and is right"
    missing = "rows with an empty response, or with none left inside the window after a long prompt"
    example = 'load "examples/tasks.jsonl" | score upd using nano | top 5 by upd'

    using: Model
    template: Template | None = None
    """How prompt and response are written out; Alpaca's, and faithful the bare one, where not given."""
    max_tokens: int | None = Field(None, ge=1)
    """Prompt and response are cut to so many tokens; the model's context (faithful: 2048) if not given."""
    faithful: bool = False
    """Read the row as OpenDataArena's scorer does."""

    def requests(self) -> dict[str, Request]:
        view = View(self.template or ALPACA, limit=self.max_tokens)
        if self.faithful:
            limit = self.max_tokens or ODA_WINDOW
            view = View(self.template or BARE, limit=limit, seam="joint", start="never")
        return {
            "given": Request(self.using, view, Logprobs("response")),
            "entropies": Request(self.using, view, RelativeEntropies("response")),
        }

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        surprise = known["given"].list.eval(1 / (1 + pl.element().cast(pl.Float64).exp()))
        sure = known["entropies"].list.eval((1 - pl.element().cast(pl.Float64)).clip(lower_bound=0))
        return finite((surprise * sure).list.mean())
