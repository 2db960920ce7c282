"""How surprised a model is by a part of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...compiler.op import Answers
from ...compiler.templates import BARE
from ...compiler.wants import View
from .predictions import OfPartOrText, finite, mean_loss

if TYPE_CHECKING:
    import polars as pl


class Perplexity(OfPartOrText):
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
    example = 'load "examples/tasks.jsonl" | score perplexity using nano | top 5 by perplexity'
    one_text = View(BARE, ("prompt",), text=("@instruction", "@input", "@response"))

    def reduce(self, known: Answers) -> pl.Series:
        return finite(mean_loss(known["given"]).exp())
