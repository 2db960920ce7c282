"""How many bits a model needs for each token of a part of each row."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from ...compiler.op import Answers
from ...compiler.wants import Template, View
from .predictions import OfPartOrText, finite, mean_loss

if TYPE_CHECKING:
    import polars as pl

LINES = Template("lines", "{instruction}\n{response}", "{instruction}\n{response}", header="")
"""Source: OpenDataArena's NormLossScorer."""


class Normloss(OfPartOrText):
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
    example = 'load "examples/tasks.jsonl" | score normloss using nano | top 5 by normloss'
    one_text = View(LINES, ("prompt",), seam="joint", start="tokenizer")

    def reduce(self, known: Answers) -> pl.Series:
        return finite(mean_loss(known["given"]) / log(2))
