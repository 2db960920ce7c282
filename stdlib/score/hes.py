"""How undecided a model is where a response leaves it most undecided."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Request, Score
from ...compiler.templates import ALPACA
from ...compiler.values import Model
from ...compiler.wants import Entropies, Template, Tokens, View
from .predictions import finite

if TYPE_CHECKING:
    import polars as pl

PLAIN = Template(
    name="plain", with_input="{instruction}\n{input}", without_input="{instruction}", header="", between="\n"
)
"""Source: OpenDataArena's HESScorer."""
WINDOW = 4096
"""The scorer's `max_length` where none is configured."""


class Hes(Score):
    """The sum of the response's greatest token entropies, in bits: its high-entropy sum; high is undecided.

    The entropies of the distributions that predict the response's tokens, summed where they reach the
    (1 − share) quantile of the row's own (Unified Data Selection for LLM Reasoning; OpenDataArena's HESScorer).

    `faithful`: that scorer, which joins prompt and response without a seam and, where the tokenizer adds a
    start token, counts the prompt's last token as response; by default the response's tokens alone are summed.
    What its padding does to models that count positions from it, such as GPT-2, is not reproduced.
    """

    noun = "hes"
    positional = ("share",)
    paper = "https://github.com/OpenDataArena/OpenDataArena-Tool"
    range = "0 to log2(vocabulary) for each token summed; longer responses sum more of them"
    missing = "rows with an empty response, or with none left inside the window after a long prompt"
    example = 'load "examples/tasks.jsonl" | score hes using nano | top 5 by hes'

    using: Model
    share: float = Field(0.005, gt=0, lt=1)
    """Which part of the tokens is summed; at least one token."""
    template: Template | None = None
    """How prompt and response are written out; Alpaca's, and faithful a plain one, where not given."""
    max_tokens: int | None = Field(None, ge=1)
    """Prompt and response are cut to so many tokens; the model's context (faithful: 4096) if not given."""
    faithful: bool = False
    """Read the row as OpenDataArena's scorer does."""

    def requests(self) -> dict[str, Request]:
        if not self.faithful:
            view = View(self.template or ALPACA, limit=self.max_tokens)
            return {"entropies": Request(self.using, view, Entropies("response"))}
        limit = self.max_tokens or WINDOW
        view = View(self.template or PLAIN, limit=limit, seam="joint", start="tokenizer")
        bare = View(view.template, ("prompt",), limit, "joint", "never")
        return {
            "entropies": Request(self.using, view, Entropies("whole")),
            "whole": Request(self.using, view, Tokens("whole")),
            "prompt": Request(self.using, bare, Tokens("prompt")),
        }

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        bits = (known["entropies"].cast(pl.List(pl.Float64))).list.eval(pl.element() / log(2))
        if self.faithful:
            said = known["whole"].cast(pl.Int64) - known["prompt"].cast(pl.Int64).fill_null(0)
            bits = pl.select(pl.lit(bits).list.tail(pl.lit(said.clip(lower_bound=0)))).to_series()
        threshold = pl.element().quantile(1 - self.share, interpolation="linear")
        most = bits.list.eval(pl.element().filter(pl.element() >= threshold))
        return finite(pl.select(pl.when(most.list.len() > 0).then(most.list.sum())).to_series())
