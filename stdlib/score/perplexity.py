"""How surprised a model is by a part of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from ...compiler.op import Answers, Request
from ...compiler.templates import ALPACA
from ...compiler.wants import Logprobs, Template
from .predictions import OfPart, finite, logprobs_of_text, mean_loss

if TYPE_CHECKING:
    import polars as pl

PARTS = ("@instruction", "@input", "@response")
"""What OpenDataArena's PPLScorer reads of a row."""


class Perplexity(OfPart):
    """The perplexity of the response given its prompt, exp(mean loss); low is well predicted.

    `of = prompt` is Cherry's perplexity in its pre-experience phase (Li et al., 2024, arXiv 2308.12032),
    the prompt with its template around it. The response's needs no pass that `ifd` with the same model does
    not need too. `top` keeps the low ones; `bottom` the high ones.

    `faithful`: OpenDataArena's PPLScorer, which takes the row for one text without a template, every token of
    it but the first; by default it is the response that is predicted, after its prompt in the template.
    """

    noun = "perplexity"
    paper = "https://arxiv.org/abs/2308.12032"
    better = "low"
    range = "1 or more; the number of tokens that the model is torn between"
    missing = "rows whose part has no token left to predict, and values beyond the largest float"
    conversations = "last: the last response after everything before it (faithful: the last exchange alone)"
    example = 'load "examples/tasks.jsonl" | score perplexity using nano | top 5 by perplexity'

    of: Literal["response", "prompt", "whole"] = "response"
    """Which tokens are averaged; faithful: those of the whole row."""
    template: Template = ALPACA
    """How prompt and response are written out; faithful: joined by line breaks."""
    max_tokens: int | None = Field(None, ge=1)
    """Prompt and response are cut to so many tokens; the model's context (faithful: 2048) if not given."""
    faithful: bool = False
    """Read the row as OpenDataArena's scorer does."""

    @model_validator(mode="before")
    @classmethod
    def _has_one_form_when_faithful(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return as_one_text(fields)

    def requests(self) -> dict[str, Request]:
        if self.faithful:
            return {"given": logprobs_of_text(self.using, PARTS, self.max_tokens)}
        return {"given": Request(self.using, self.view, Logprobs(self.of))}

    def reduce(self, known: Answers) -> pl.Series:
        return finite(mean_loss(known["given"]).exp())


def as_one_text(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, unless they name a part or template beside the form that reads the row as one text."""
    if not fields.get("faithful"):
        return fields
    if fields.get("of", "whole") != "whole" or "template" in fields:
        raise ValueError(
            "reads the whole row without a template when faithful: leave out `of` and `template`"
        )
    return {**fields, "of": "whole"}
