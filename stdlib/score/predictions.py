"""What scores of a language model's predictions have in common: the part they speak of, and how losses are read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from ...compiler.op import Request, Score
from ...compiler.templates import ALPACA
from ...compiler.values import Model
from ...compiler.wants import Logprobs, Span, Template, View

if TYPE_CHECKING:
    import polars as pl

ODA_WINDOW = 2048
"""The `max_length` of OpenDataArena's scorers where none is configured."""


def view_of(of: Span, template: Template, limit: int | None) -> View:
    """The view in which a part of the row is read: the prompt by itself, the response after its prompt."""
    return View(template, ("prompt",) if of == "prompt" else ("prompt", "response"), limit)


def logprobs_of(model: Model, of: Span, template: Template, limit: int | None = None) -> Request:
    """The log-probabilities of a part of every row; those of the response are what `ifd` asks for too."""
    return Request(model, view_of(of, template, limit), Logprobs(of))


def mean_loss(logprobs: pl.Series) -> pl.Series:
    """The mean negative log-likelihood of each list, in nats; null for no token."""
    import polars as pl

    return -logprobs.cast(pl.List(pl.Float64)).list.mean()


def finite(values: pl.Series) -> pl.Series:
    """The values with null in place of NaN and of both infinities."""
    import polars as pl

    return pl.select(pl.when(values.is_finite()).then(values).alias(values.name)).to_series()


def answered(values: pl.Series, responses: pl.Series) -> pl.Series:
    """The values of the rows that have a response; a question about none has an answer too, which says nothing."""
    import polars as pl

    there = (responses.fill_null("") != "").alias("there")
    return pl.select(pl.when(there).then(values).alias(values.name)).to_series()


class OfPart(Score):
    """A number read from how a causal model predicts a part of each row."""

    positional = ("of",)
    missing = "rows whose part has no token left to predict"

    using: Model
    of: Literal["response", "prompt", "whole"] = "response"
    """Over the predictions of which tokens."""
    template: Template = ALPACA
    """How prompt and response are written out."""
    max_tokens: int | None = Field(None, ge=1)
    """Prompt and response are cut to so many tokens; the model's context where not given."""

    @property
    def view(self) -> View:
        """The part as the model reads it: the prompt by itself, the response after its prompt."""
        return view_of(self.of, self.template, self.max_tokens)


class OfPartOrText(OfPart):
    """A number read from how a model predicts a part of each row, or the whole row as OpenDataArena's scorers do."""

    conversations = "last: the last response after everything before it (faithful: the last exchange alone)"
    one_text: ClassVar[View]
    """The row as the faithful form reads it, every token but the first predicted."""

    of: Literal["response", "prompt", "whole"] = "response"
    """Which tokens are averaged; faithful: those of the whole row."""
    template: Template = ALPACA
    """How prompt and response are written out; faithful: joined by line breaks."""
    max_tokens: int | None = Field(None, ge=1)
    """Prompt and response are cut to so many tokens; the model's context (faithful: 2048) if not given."""
    faithful: bool = False
    """Read the row as OpenDataArena's scorer does."""

    @model_validator(mode="before")
    @classmethod
    def _has_one_form_when_faithful(cls, fields: dict[str, Any]) -> dict[str, Any]:
        if not fields.get("faithful"):
            return fields
        if fields.get("of", "whole") != "whole" or "template" in fields:
            raise ValueError(
                "reads the whole row without a template when faithful: leave out `of` and `template`"
            )
        return {**fields, "of": "whole"}

    def requests(self) -> dict[str, Request]:
        if not self.faithful:
            return {"given": Request(self.using, self.view, Logprobs(self.of))}
        view = replace(self.one_text, limit=self.max_tokens or ODA_WINDOW)
        return {"given": Request(self.using, view, Logprobs("prompt"))}
