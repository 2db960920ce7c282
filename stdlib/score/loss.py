"""How badly a model predicts a part of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...compiler.op import Answers, Request
from ...compiler.wants import Logprobs
from .predictions import OfPart, finite, mean_loss

if TYPE_CHECKING:
    import polars as pl


class Loss(OfPart):
    """The mean negative log-likelihood of the response given its prompt, in nats; low is well predicted.

    The mean over the tokens t of the part, −(1/T) Σ log p(t | all before it). Responses are read after their
    prompt, prompts by themselves. `top` keeps the low ones; `bottom` the high ones.
    """

    noun = "loss"
    better = "low"
    range = "0 or more; ln(vocabulary) is what a model that knows nothing gets"
    example = 'load "examples/tasks.jsonl" | score loss using nano | top 5 by loss'

    def requests(self) -> dict[str, Request]:
        return {"given": Request(self.using, self.view, Logprobs(self.of))}

    def reduce(self, known: Answers) -> pl.Series:
        return finite(mean_loss(known["given"]))
