"""How many bits a model needs for each token of a part of each row."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from ...compiler.op import Answers, Request
from ...compiler.templates import ALPACA
from ...compiler.wants import Logprobs, Template
from .perplexity import as_one_text
from .predictions import OfPart, finite, logprobs_of_text, mean_loss

if TYPE_CHECKING:
    import polars as pl

WITHOUT_INPUT = ("@instruction", "@response")
"""What OpenDataArena's NormLossScorer reads of a row."""


class Normloss(OfPart):
    """The mean loss of the response given its prompt in bits, loss / ln 2; low is well predicted.

    OpenDataArena's normalised loss, −(1/T) Σ log₂ p(t | all before it): what an ideal coder would spend on a
    token. `top` keeps the low ones; `bottom` the high ones.

    `faithful`: its NormLossScorer, which takes the row for one text and loses the row's input on the way; by
    default it is the response that is predicted, after its prompt with its input in the template.
    """

    noun = "normloss"
    paper = "https://github.com/OpenDataArena/OpenDataArena-Tool"
    better = "low"
    range = "0 or more; log2(vocabulary) is what a model that knows nothing gets"
    conversations = "last: the last response after everything before it (faithful: the last exchange alone)"
    example = 'load "examples/tasks.jsonl" | score normloss using nano | top 5 by normloss'

    of: Literal["response", "prompt", "whole"] = "response"
    """Which tokens are averaged; faithful: those of the whole row."""
    template: Template = ALPACA
    """How prompt and response are written out; faithful: joined by a line break."""
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
            return {"given": logprobs_of_text(self.using, WITHOUT_INPUT, self.max_tokens)}
        return {"given": Request(self.using, self.view, Logprobs(self.of))}

    def reduce(self, known: Answers) -> pl.Series:
        return finite(mean_loss(known["given"]) / log(2))
