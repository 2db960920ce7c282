"""Quality classifiers and raters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ...compiler.op import Answers, Request, Score
from ...compiler.values import Model
from ...compiler.wants import Logits, Template, View
from ...errors import ModelError

if TYPE_CHECKING:
    import polars as pl

ROW = Template("row", "{prompt}\n{response}", "{prompt}\n{response}", "")


class Classifier(Score):
    """What a classifier or rater says of the text of the row: a logit, a probability, or an expected label.

    `logit`: the number of the head as it is, such as FineWeb-Edu's 0 to 5 (Penedo et al., 2024, arXiv
    2406.17557) or one of QuRating's four criteria (Wettig et al., 2024, arXiv 2402.09739; `label = 3`, `chunk =
    512`). `probability`: that of the label, by softmax over all labels, or by the logistic function of a lone
    one and of labels that do not exclude each other, as the model's config.json has it. `expected`: the labels,
    counted from 0, weighted by their probabilities, as Meta-rater's PRRC models are read (Zhuang et al., 2025,
    arXiv 2504.14194).
    """

    noun = "classifier"
    positional = ("label",)
    paper = "https://arxiv.org/abs/2406.17557"
    range = "logit: any number; probability: 0 to 1; expected: 0 to the number of labels less one"
    missing = "rows with an empty response, where the template shows it"
    conversations = "last: the last exchange with the earlier turns before it, each on a line of its own"
    example = (
        'load "examples/tasks.jsonl" | score classifier using fineweb-edu as quality | filter quality >= 3'
    )

    using: Model
    label: int | str | None = None
    """Of a head with several labels the one that is meant, by place or name."""
    value: Literal["logit", "probability", "expected"] = "logit"
    """What is made of the head's numbers."""
    template: Template = ROW
    """The text of the row."""
    chunk: int | None = Field(None, ge=1)
    """A longer text is read in pieces of so many tokens, whose logits are averaged by their tokens; where not
    given, its end is cut to the model's window."""
    max_tokens: int | None = Field(None, ge=1)
    """The row is cut to so many tokens; the model's window where not given."""

    def requests(self) -> dict[str, Request]:
        view = View(self.template, ("prompt",), self.max_tokens, seam="own", chunk=self.chunk)
        single = self.label is None and self.value != "expected"
        return {"logits": Request(self.using, view, Logits(self.label, single))}

    def reduce(self, known: Answers) -> pl.Series:
        logits = known["logits"]
        match self.value:
            case "logit":
                return logits.list.first()
            case "probability":
                return (apart if self.using.separate else probabilities)(logits).list.first()
            case "expected":
                return expected(logits)


def apart(logits: pl.Series) -> pl.Series:
    """The probability of every label by itself, in double precision."""
    import polars as pl

    return logits.cast(pl.List(pl.Float64)).list.eval(1 / (1 + (-pl.element()).exp()))


def probabilities(logits: pl.Series) -> pl.Series:
    """The probabilities of labels of which one is true, in double precision; of a lone one that it is."""
    import polars as pl

    exact = logits.cast(pl.List(pl.Float64))
    if exact.list.len().max() == 1:
        return apart(logits)
    odds = exact.list.eval((pl.element() - pl.element().max()).exp())
    return odds.list.eval(pl.element() / pl.element().sum())


def expected(logits: pl.Series) -> pl.Series:
    """The mean label, counted from 0. Raises ModelError E457 where there is only one."""
    import polars as pl

    if logits.list.len().max() == 1:
        raise ModelError(
            "E457", "the model's head gives 1 number, and an expected label is the mean of several",
            help="leave `value` out to take the number as it is",
        )  # fmt: skip
    weighted = pl.element() * pl.int_range(pl.len())
    return probabilities(logits).list.eval(weighted).list.sum()
