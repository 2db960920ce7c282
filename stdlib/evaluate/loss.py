"""How well a model predicts the responses of held-out rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from ...compiler.op import Answers, Evaluate, Request
from ...compiler.templates import ALPACA
from ...compiler.values import Data, Model
from ...compiler.wants import Template
from ...errors import DataError
from ..score.predictions import logprobs_of, mean_loss

if TYPE_CHECKING:
    import polars as pl


class HeldOutLoss(Evaluate):
    """The mean loss of a model over the responses of other rows, in nats; low is well predicted.

    The mean over rows of the mean negative log-likelihood of each response given its prompt: what
    Instruction-Mining (Cao et al., 2023, arXiv 2307.06290) predicts of a model fine-tuned on some rows. To learn
    what a choice is worth, give the model that is trained on it.
    """

    noun = "loss"
    paper = "https://arxiv.org/abs/2307.06290"
    example = """
        let held = load "examples/tasks.jsonl" | sample 20
        let chosen = load "examples/tasks.jsonl" | without held | top 30 by words(response)
        from chosen
        | evaluate loss using train(nano, on = chosen, learning_rate = 0.001, batch = 8) against held
    """

    using: Model
    against: Data
    """The rows whose responses are predicted; those that the model was trained on would flatter it."""
    template: Template = ALPACA
    """How prompt and response are written out."""
    max_tokens: int | None = Field(None, ge=1)
    """Prompt and response are cut to so many tokens; the model's context where not given."""

    def requests(self) -> dict[str, Request]:
        asked = logprobs_of(self.using, "response", self.template, self.max_tokens)
        return {"held out": Request(asked.model, asked.view, asked.want, of=self.against)}

    def report(self, known: Answers) -> dict[str, Any]:
        losses = mean_loss(known["held out"])
        counted = losses.drop_nulls().drop_nans()
        if counted.is_empty():
            raise _nothing_to_predict(losses, self.against)
        return {"loss": float(counted.sum()) / len(counted), "rows": len(counted)}


def _nothing_to_predict(losses: pl.Series, held: Data) -> DataError:
    return DataError(
        "E524",
        f"none of the {len(losses):,} rows of `{held.label}` has a response to predict",
        help="name rows with responses that the model's window has room for",
    )
