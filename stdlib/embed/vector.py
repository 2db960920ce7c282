"""A column of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ...compiler.op import Answers, Embed, Request
from ...compiler.templates import ALPACA
from ...compiler.values import Model
from ...compiler.wants import Embedding, Template, View
from .vectors import vectors_of

if TYPE_CHECKING:
    import polars as pl


class Vector(Embed):
    """The vector that a sentence encoder or a language model gives the prompt, the response or both.

    A language model gives the mean of its last hidden states, after the final norm, over the tokens of the
    part.
    """

    verb = "embed"
    noun = ""
    positional = ("of",)
    default_model = "minilm"
    example = """
        load "examples/tasks.jsonl"
        | embed using nano as place
        | cluster kmeans(4) by place as part
        | sample 1 per part
    """

    name: str = "embedding"
    using: Model
    of: Literal["prompt", "response", "whole"] = "prompt"
    """Which part of the row."""
    template: Template | None = None
    """How the row is written out, `{response}` included where the text holds it; Alpaca's for a language model, and
    for a sentence encoder the plain text of the part, where not given."""

    def requests(self) -> dict[str, Request]:
        if self.template is not None and self.using.kind == "encoder":
            return {"vector": Request(self.using, View(self.template, ("prompt",), seam="own"), Embedding())}
        return {"vector": vectors_of(self.using, self.of, self.template or ALPACA)}

    def reduce(self, known: Answers) -> pl.Series:
        return known["vector"]
