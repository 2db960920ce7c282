"""UniEval's dimensions of a response in a dialogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ...compiler.op import Answers, Request, Score
from ...compiler.values import Model
from ...compiler.wants import NextToken, Template, View

if TYPE_CHECKING:
    import polars as pl

Dimension = Literal["naturalness", "coherence", "understandability", "engagingness"]

QUESTIONS: dict[Dimension, str] = {
    "naturalness": "question: Is this a natural response in the dialogue? </s> response: {response}",
    "coherence": (
        "question: Is this a coherent response given the dialogue history? </s> response: {response} </s> "
        "dialogue history: {prompt}"
    ),
    "understandability": (
        "question: Is this an understandable response in the dialogue? </s> response: {response}"
    ),
    "engagingness": (
        "question: Is this an engaging and informative response according to the dialogue history and fact? "
        "</s> response: {response} </s> dialogue history: {prompt} </s> fact: "
    ),
}
"""What maszhongming/UniEval asks of a dialogue; the tokenizer makes its end token of `</s>`."""
WINDOW = 1024
"""Tokens in the authors' scripts."""


class Unieval(Score):
    """The probability of Yes against No when an encoder-decoder is asked one question about the response.

    P(Yes) / (P(Yes) + P(No)) for the first token of the answer (Zhong et al., 2022, arXiv 2210.07197, eq. 3).
    Engagingness is asked without a fact.

    `faithful`: engagingness is asked of every sentence that NLTK finds and added up, as the authors' script does,
    so that long responses exceed 1, and needs the extra `sentences` (E569); by default it is one question about
    the whole. The other dimensions are the same either way.
    """

    noun = "unieval"
    positional = ("dimension",)
    paper = "https://arxiv.org/abs/2210.07197"
    default_model = "unieval-dialog"
    range = "0 to 1; engagingness with `faithful`: 0 to the number of sentences"
    missing = "rows with an empty or blank response"
    conversations = "last: the last response; everything before it is the dialogue history, line by line"
    example = """
        load "examples/tasks.jsonl"
        | score unieval(coherence) using unieval-dialog
        | top 20% by unieval
    """

    using: Model
    dimension: Dimension
    """What is asked: whether the response is natural, coherent, understandable or engaging."""
    max_tokens: int = Field(WINDOW, ge=1)
    """The end of a longer question is cut: the dialogue history, where it shows one."""
    faithful: bool = False
    """Add up engagingness over the sentences of the response, as the authors' script does."""

    def requests(self) -> dict[str, Request]:
        question = QUESTIONS[self.dimension]
        template = Template(self.dimension, question, question, "")
        summed = self.faithful and self.dimension == "engagingness"
        turns = "sentences" if summed else "last"
        view = View(template, ("prompt",), self.max_tokens, seam="own", turns=turns)
        return {"answer": Request(self.using, view, NextToken(("Yes", "No")))}

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        yes, no = pl.element().gather_every(2), pl.element().gather_every(2, 1)
        answers = known["answer"].cast(pl.List(pl.Float64))
        return answers.list.eval(1 / (1 + (no - yes).exp())).list.sum()
