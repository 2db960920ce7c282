"""How long a part of each row is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from ...compiler.op import Answers, Request, Score
from ...compiler.templates import ALPACA
from ...compiler.values import Model
from ...compiler.wants import Template, Tokens
from .predictions import view_of

if TYPE_CHECKING:
    import polars as pl


class Length(Score):
    """The length of the response, in characters unless told otherwise; the longer the better.

    The 1,000 longest responses are the baseline of Zhao et al., 2024 (arXiv 2402.04833). Tokens are those
    that the model sees: no more than its context holds.
    """

    noun = "length"
    positional = ("unit",)
    paper = "https://arxiv.org/abs/2402.04833"
    range = "0 or more"
    missing = "in tokens, rows whose part is empty; otherwise none"
    conversations = "last: the last response, or the prompt before it"
    example = 'load "examples/tasks.jsonl" | score length(words) | top 5 by length'

    unit: Literal["characters", "words", "tokens"] = "characters"
    """Words are what stands between blanks; tokens need a model."""
    of: Literal["response", "prompt"] = "response"
    """Which part is measured; the prompt in tokens with its template around it."""
    using: Model | None = None
    """The model whose tokenizer counts."""
    template: Template = ALPACA
    """How the model is shown the row; for tokens."""
    max_tokens: int | None = Field(None, ge=1)
    """Counting ends here; the model's context where not given."""

    @model_validator(mode="before")
    @classmethod
    def _asks_no_model_in_vain(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return fields if fields.get("unit") == "tokens" else {**fields, "using": None}

    @model_validator(mode="after")
    def _has_tokenizer(self) -> Length:
        if self.unit == "tokens" and self.using is None:
            raise ValueError("needs a model whose tokenizer counts tokens: add `using` and a model")
        return self

    def reads(self) -> frozenset[str]:
        return frozenset() if self.unit == "tokens" else frozenset({self.of})

    def requests(self) -> dict[str, Request]:
        if self.unit != "tokens" or self.using is None:
            return {}
        view = view_of(self.of, self.template, self.max_tokens)
        return {"tokens": Request(self.using, view, Tokens(self.of))}

    def reduce(self, known: Answers) -> pl.Series:
        if self.unit == "tokens":
            return known["tokens"]
        text = known.column(self.of).fill_null("")
        if self.unit == "characters":
            return text.str.len_chars()
        return text.str.count_matches(r"\S+")
