"""Reward models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ...compiler.op import Answers, Request, Score
from ...compiler.templates import CHAT
from ...compiler.values import Model
from ...compiler.wants import Logits, Template, View

if TYPE_CHECKING:
    import polars as pl

QUESTION = Template("question", "{prompt}", "{prompt}", "")


class Reward(Score):
    """How good a reward model finds the response: the number of its head, as it is.

    A model whose tokenizer has a chat template reads the conversation as that template closes it, and its head
    reads the last token, as Skywork's and INF's reward models do. Another one reads prompt and response as a
    pair of texts, as OpenAssistant's DeBERTa does (Köpf et al., 2023). A row that is too long loses the end of
    its response.
    """

    noun = "reward"
    paper = "https://arxiv.org/abs/2304.07327"
    range = "any number; the scale is the model's own, and numbers of two models cannot be compared"
    missing = "rows with an empty or blank response, or with a prompt that fills the window"
    conversations = (
        "last: the last response after everything before it; in a pair the earlier turns stand in the question, "
        "each on a line of its own"
    )
    example = 'load "examples/tasks.jsonl" | score reward using reward-deberta | top 20% by reward'

    using: Model
    form: Literal["pair", "chat"] | None = None
    """Prompt and response as two texts, or as the model's chat template writes them; by whether there is one."""
    label: int | str | None = None
    """Of a head with several numbers the one that is the reward, by place or name."""
    template: Template = QUESTION
    """How the prompt is written in a pair."""
    max_tokens: int | None = Field(None, ge=1)
    """The row is cut to so many tokens; the model's window where not given."""

    @property
    def shown(self) -> View:
        """What the model reads."""
        form = self.form or ("chat" if self.using.chat else "pair")
        if form == "chat":
            return View(CHAT, limit=self.max_tokens, seam="closed")
        return View(self.template, limit=self.max_tokens, seam="own")

    def requests(self) -> dict[str, Request]:
        want = Logits(self.label, single=self.label is None)
        return {"logits": Request(self.using, self.shown, want)}

    def reduce(self, known: Answers) -> pl.Series:
        return known["logits"].list.first()
