"""SelectIT: how surely models rate a row as good."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ...compiler.op import Answers, Request, Score
from ...compiler.values import Model
from ...compiler.wants import Template, View
from ...errors import ModelError
from .predictions import answered, finite
from .rating import FIVE, RATING_TEMPLATES, normalised, shares

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

CLASSES = 5
AUTHORS_WEIGHTS = (7 / 20, 13 / 20, 70 / 90)


class Selectit(Score):
    """The rating from 1 to 5 that models give a row, times how sure they are of it: SelectIT.

    Of one rating prompt (token level), with p(k) the probability of the digit k among the five and b the
    likeliest: b · ¼ Σ (p(b) − p(k)). Of several prompts (sentence level): their mean over 1 + `alpha` · their
    standard deviation. Of several models (model level), `using [a, b]`: the mean weighted by the models' sizes
    (Liu et al., 2024, arXiv 2402.16705).

    `faithful`: the authors' scripts, which take a second softmax of p, divide by `prompts` - 1 in place of 4, at
    the sentence level after a sum over the first `prompts` digits only, and weigh models by 7/20, 13/20 and 70/90
    in their order. By default p is normalised once, the spread is of all five digits, the weights add up to 1, a
    row that is too long keeps the question at its end, and a row without a response has no score.
    """

    noun = "selectit"
    positional = ("level",)
    paper = "https://arxiv.org/abs/2402.16705"
    range = "0 to 5"
    missing = "rows without a response, and rows that fill the window"
    conversations = "last: the last exchange; earlier turns are not shown (faithful: the first exchange)"
    example = 'load "examples/tasks.jsonl" | sample 12 | score selectit using nano | top 5 by selectit'

    using: tuple[Model, ...]
    """One model, or several at the model level."""
    level: Literal["token", "sentence"] = "sentence"
    """`token`: one of the nine rating prompts, drawn with the seed; `sentence`: the first `prompts` of them."""
    prompts: int = Field(5, ge=1, le=len(RATING_TEMPLATES))
    """How many rating prompts the sentence level asks; K of the paper. Faithful: one less also divides."""
    alpha: float = Field(0.2, ge=0)
    """How much the disagreement of the prompts costs."""
    weights: tuple[float, ...] | None = None
    """What each model counts, such as its size; its number of parameters where not given."""
    max_tokens: int | None = Field(None, ge=1)
    """Question and row are cut to so many tokens; the model's context where not given."""
    seed: int = 0
    """Draws the rating prompt of the token level."""
    faithful: bool = False
    """Rate as the authors' scripts do."""

    @model_validator(mode="after")
    def _fits_together(self) -> Selectit:
        named = [model.label or model.key for model in self.using]
        twice = next((name for at, name in enumerate(named) if self.using[at] in self.using[:at]), None)
        if twice and not self.faithful:
            raise ValueError(f"names `{twice}` twice: its ratings would count double")
        if self.weights is not None and len(self.weights) != len(self.using):
            raise ValueError(f"has {len(self.weights)} weights for {len(self.using)} models")
        if any(weight <= 0 for weight in self.weights or ()):
            raise ValueError("takes weights above 0")
        self._look_at_the_authors_limits()
        return self

    def _look_at_the_authors_limits(self) -> None:
        if not self.faithful:
            return
        most = CLASSES if self.level == "sentence" else len(RATING_TEMPLATES)
        if not 2 <= self.prompts <= most:
            raise ValueError(f"asks 2 to {most} prompts when faithful, not {self.prompts}")
        if len(self.using) > len(AUTHORS_WEIGHTS) and self.weights is None:
            raise ValueError(f"has weights for {len(AUTHORS_WEIGHTS)} models when faithful")

    def reads(self) -> frozenset[str]:
        return frozenset({"response"})

    def requests(self) -> dict[str, Request]:
        return {
            f"{place} {template.name}": Request(model, self.view(template), FIVE)
            for place, model in enumerate(self.using)
            for template in self.asked
        }

    @property
    def asked(self) -> tuple[Template, ...]:
        """The rating prompts in force."""
        if self.level == "token":
            return (Random(self.seed).choice(RATING_TEMPLATES),)
        return RATING_TEMPLATES[: self.prompts]

    def view(self, template: Template) -> View:
        """A row in a rating prompt."""
        if self.faithful:
            return View(template, ("prompt",), self.max_tokens, start="tokenizer", turns="first")
        return View(template, ("prompt",), self.max_tokens, tail=True)

    def reduce(self, known: Answers) -> pl.Series:
        import numpy as np
        import polars as pl

        by_model = np.stack([self.sentence(known, place) for place in range(len(self.using))])
        values = finite(pl.Series("selectit", np.asarray(self.counts()) @ by_model))
        return values if self.faithful else answered(values, known.column("response"))

    def sentence(self, known: Answers, place: int) -> np.ndarray:
        """One model's score of every row, over all prompts asked."""
        import numpy as np

        rated = np.stack([self.token(known[f"{place} {template.name}"]) for template in self.asked])
        if self.level == "token":
            return rated[0]
        return rated.mean(axis=0) / (1 + self.alpha * rated.std(axis=0))

    def token(self, logprobs: pl.Series) -> np.ndarray:
        """One model's score of every row under one prompt."""
        among = shares(logprobs, CLASSES)
        if not self.faithful:
            return sureness(among, CLASSES, CLASSES - 1)
        summed = CLASSES if self.level == "token" else self.prompts
        return sureness(normalised(among), summed, self.prompts - 1)

    def counts(self) -> tuple[float, ...]:
        """What every model counts. Raises ModelError E447."""
        if self.faithful and self.weights is None:
            return AUTHORS_WEIGHTS[: len(self.using)] if len(self.using) > 1 else (1.0,)
        sizes = self.weights or tuple(self.size_of(model) for model in self.using)
        return tuple(size / sum(sizes) for size in sizes)

    def size_of(self, model: Model) -> float:
        if model.parameters or len(self.using) == 1:
            return model.parameters or 1
        raise ModelError(
            "E447",
            f"the number of parameters of `{model.label}` is not known",
            help="give every model's weight, such as `weights = [7, 13]`",
        )


def sureness(shares: np.ndarray, summed: int, divisor: int) -> np.ndarray:
    """The likeliest rating, times its lead over the first `summed` ratings: `[rows]`."""
    best, first = shares.max(axis=-1), shares[:, :summed]
    lead = (best[:, None] - first).sum(axis=-1) / divisor
    return (shares.argmax(axis=-1) + 1) * lead
