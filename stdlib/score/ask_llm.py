"""How surely a model says that a row is good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Request, Score
from ...compiler.values import Model
from ...compiler.wants import Logprobs, Template, View
from .predictions import ODA_WINDOW, answered, finite

if TYPE_CHECKING:
    import polars as pl

QUESTION = "Is the following data high quality? Please answer yes or no.\n\n"
ASKED = Template(
    name="ask_llm",
    with_input=QUESTION + "{instruction}\n{input}\n{response}\n\n\n",
    without_input=QUESTION + "{instruction}\n{response}\n\n\n",
    header="",
    reply="yes",
)
"""Source: OpenDataArena's AskLlmScorer."""


class AskLlm(Score):
    """The log-probability that a model answers `yes` when asked whether the row is good; high is good.

    log P(yes | question and row), a sum over the tokens of `yes` where it has several (Ask-LLM, Sachdeva et al.,
    2024, arXiv 2402.09668). The question is OpenDataArena's; a template with the slots of a row and a `reply`
    asks another one. `exp(ask_llm)` is the probability.

    `faithful`: OpenDataArena's AskLlmScorer, the mean over the tokens of `yes` in place of their sum, without
    start token and found by the question's own token count, empty responses too; by default a tokenizer that
    writes `yes` in several pieces gives the same quantity as others.
    """

    noun = "ask_llm"
    paper = "https://arxiv.org/abs/2402.09668"
    range = "0 or less"
    missing = "rows without a response, and rows that fill the window"
    conversations = "last: the last exchange; earlier turns are not shown"
    example = 'load "examples/tasks.jsonl" | score ask_llm using nano | top 5 by ask_llm'

    using: Model
    template: Template = ASKED
    """The question, with the row in it, and the answer that is hoped for."""
    max_tokens: int | None = Field(None, ge=1)
    """Question and row are cut to so many tokens; the model's context (faithful: 2048) if not given."""
    faithful: bool = False
    """Read the row as OpenDataArena's scorer does."""

    def reads(self) -> frozenset[str]:
        return frozenset({"response"})

    def requests(self) -> dict[str, Request]:
        view = View(self.template, limit=self.max_tokens, tail=True)
        if self.faithful:
            view = View(self.template, limit=self.max_tokens or ODA_WINDOW, seam="joint", start="never")
        return {"yes": Request(self.using, view, Logprobs("response"))}

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        yes = known["yes"].cast(pl.List(pl.Float64)).list
        sums = pl.select(pl.when(yes.len() > 0).then(yes.sum())).to_series()
        return finite(yes.mean()) if self.faithful else answered(finite(sums), known.column("response"))
