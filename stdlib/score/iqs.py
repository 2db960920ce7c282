"""CaR's instruction quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Request, Score
from ...compiler.values import Model
from ...compiler.wants import Rank, Template, View

if TYPE_CHECKING:
    import polars as pl

CAR = Template(
    "car",
    "Instruction: {instruction} Input: {input} Response: {response}",
    "Instruction: {instruction} Input:  Response: {response}",
    "",
)
"""The text of a row in the scripts of IronBeliever/CaR; `Input:` stays where there is none."""
WINDOW = 510
"""Tokens that the ranker was trained on."""


class Iqs(Score):
    """How a ranker of instruction pairs that experts revised places the row: CaR's quality (Ge et al., 2024).

    The hidden states of all layers are mixed with sparsemax weights, averaged over the tokens, and read by a
    small network with tanh between its layers (arXiv 2402.18191, section 3.1; the form of COMET).

    The model is a folder or a hub id. What CaR's training leaves is read as it is: `hparams.yaml` and
    `checkpoints/*.ckpt`, of which only tensors are taken, with the configuration and tokenizer of the
    `pretrained_model` that it names. So is an encoder as `save_pretrained` writes it, with its tokenizer and a
    `head.safetensors` of the checkpoint's `layerwise_attention.scalar_parameters.N`, `layerwise_attention.gamma`
    and `ff.N.weight`/`ff.N.bias`.
    """

    noun = "iqs"
    paper = "https://arxiv.org/abs/2402.18191"
    range = "about 0 (as written first) to 1 (as revised); beyond either end is possible"
    missing = "rows with an empty or blank response"
    conversations = "last: the last exchange with the earlier turns before its instruction, line by line"
    example = 'load "examples/tasks.jsonl" | score iqs using model "./ranker" | top 20% by iqs'

    using: Model
    max_tokens: int = Field(WINDOW, ge=1)
    """The end of a longer row is cut."""

    def requests(self) -> dict[str, Request]:
        return {"rank": Request(self.using, View(CAR, ("prompt",), self.max_tokens, seam="own"), Rank())}

    def reduce(self, known: Answers) -> pl.Series:
        return known["rank"]
