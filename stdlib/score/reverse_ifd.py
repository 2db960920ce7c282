"""How hard a prompt is to guess from its response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Request, Score
from ...compiler.values import Model
from ...compiler.wants import Logprobs, Template, View
from .predictions import answered, finite, mean_loss

if TYPE_CHECKING:
    import polars as pl

GUESS = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, and polite answers to the user's questions. USER: Below is the response to an instruction, please "
    "guess the corresponding instruction for the given response.\n{response}\nGenerate the instruction for the "
    "above response. ASSISTANT:"
)
"""Source: tianyi-lab/Reflection_Tuning, selection_code, with its default Vicuna prompt."""
GUESSED = Template(name="guess", with_input=GUESS, without_input=GUESS, header="", reply="{prompt}")
GUESSED_TOGETHER = Template(
    name="guess", with_input=GUESS, without_input=GUESS, header="", reply="{instruction}{input}"
)
"""As the script writes it: the input follows the instruction with nothing between them."""
WINDOW = 2048
"""The script's `max_length`."""


class ReverseIfd(Score):
    """How little the response helps the model guess the prompt: perplexity with it over perplexity without it.

    r-IFD = ppl(prompt | response) / ppl(prompt), the response in a request to guess what it answers (Selective
    Reflection-Tuning, Li et al., 2024, arXiv 2402.10110). Low: the response says what it was asked; the paper
    keeps rows below 1. `top` keeps the low ones.

    `faithful`: tokenise, join and cut as the authors' script does, the input glued to the instruction; by default
    a line break parts the two, and prompts are the same tokens with and without the response. Where an input
    repeats its instruction, the script counts from the repetition only, which is not reproduced.
    """

    noun = "reverse_ifd"
    better = "low"
    paper = "https://arxiv.org/abs/2402.10110"
    range = "above 0; above 1 the response hinders"
    missing = "rows without a prompt or response, and rows whose response fills the window"
    conversations = "last: the last exchange; earlier turns are not shown"
    example = 'load "examples/tasks.jsonl" | score reverse_ifd using nano | top 5 by reverse_ifd'

    using: Model
    max_tokens: int | None = Field(None, ge=1)
    """Response and prompt are cut to so many tokens; the model's context (faithful: 2048) if not given."""
    faithful: bool = False
    """Read the row as the authors' script does."""

    def reads(self) -> frozenset[str]:
        return frozenset({"response"})

    def requests(self) -> dict[str, Request]:
        given = View(GUESSED, limit=self.max_tokens)
        alone = given.showing("response")
        if self.faithful:
            limit = self.max_tokens or WINDOW
            given = View(GUESSED_TOGETHER, limit=limit, seam="joint", start="tokenizer")
            alone = View(given.template, ("response",), limit, "joint", "tokenizer", 1)
        return {
            "given": Request(self.using, given, Logprobs("response")),
            "alone": Request(self.using, alone, Logprobs("response")),
        }

    def reduce(self, known: Answers) -> pl.Series:
        ratio = (mean_loss(known["given"]) - mean_loss(known["alone"])).exp()
        return answered(finite(ratio), known.column("response"))
