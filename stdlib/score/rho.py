"""How much more one model still has to learn of a row than another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ...compiler.op import Answers, Request, Score
from ...compiler.templates import ALPACA
from ...compiler.values import Model
from ...compiler.wants import Template
from .predictions import finite, logprobs_of, mean_loss

if TYPE_CHECKING:
    import polars as pl


class Rho(Score):
    """The excess loss of a model over a reference, in nats per token: what can be learned and is not yet.

    L(response | prompt; model) − L(response | prompt; reference), both mean losses over the response's tokens
    (RHO-LOSS, Mindermann et al., 2022, arXiv 2206.07137, eq. 3). High: the reference, trained on good data,
    predicts the row and the model does not; rows that are noise are high for neither. Of two tokenizers each
    mean is over that model's own tokens, and the difference compares them token by token no more.
    """

    noun = "rho"
    positional = ("against",)
    paper = "https://arxiv.org/abs/2206.07137"
    range = "any number; below 0 the model predicts the row better than the reference"
    missing = "rows that either model cannot score: no response, or none left inside the window"
    example = """
        load "examples/tasks.jsonl"
        | score rho using nano against nano as excess
        | top 5 by excess
    """

    using: Model
    """The model that is to be trained."""
    against: Model
    """The reference: a model trained on rows that are known to be good."""
    of: Literal["response", "prompt", "whole"] = "response"
    """Which tokens are averaged."""
    template: Template = ALPACA
    """How prompt and response are written out."""
    max_tokens: int | None = Field(None, ge=1)
    """Prompt and response are cut to so many tokens; each model's context where not given."""

    def requests(self) -> dict[str, Request]:
        models = {"model": self.using, "reference": self.against}
        return {
            name: logprobs_of(model, self.of, self.template, self.max_tokens)
            for name, model in models.items()
        }

    def reduce(self, known: Answers) -> pl.Series:
        return finite(mean_loss(known["model"]) - mean_loss(known["reference"]))
