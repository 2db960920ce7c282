"""How much worse a model predicts a response after being shown the most similar row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from ...compiler.op import Answers, Request, Score
from ...compiler.templates import ALPACA
from ...compiler.values import Expression, Model
from ...compiler.wants import Logprobs, Template, View
from ...errors import DataError
from ..embed.directions import directions
from ..embed.vectors import points, vectors_of
from .predictions import ODA_WINDOW, finite, mean_loss

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

USER = Template(
    name="user and assistant",
    with_input="User: {instruction}\n{input}\nAssistant: ",
    without_input="User: {instruction}\nAssistant: ",
    header="Assistant: ",
    between="\n",
)
"""Source: OpenDataArena's MIWVScorer."""
BLOCK = 512
"""So many rows are compared with all others at once."""


class Miwv(Score):
    """How much worse the model predicts the response after the most similar row as an example, in nats.

    The model's instruction weakness value: mean loss(response | nearest row, prompt) − mean loss(response |
    prompt); high: an example of the kind does not help yet, so training on it does (Jiang et al., 2025, arXiv
    2511.07074). The nearest row is the other row of the dataset with the greatest cosine similarity, the first of
    equals.

    `faithful`: OpenDataArena's MIWVScorer, its own plain template and the seam by the prompt's token count; by
    default the template is Alpaca's, and the pass without example is the one that `ifd` needs too.
    """

    noun = "miwv"
    positional = ("by",)
    rowwise = False
    paper = "https://arxiv.org/abs/2511.07074"
    range = "any number; below 0 the example helps"
    missing = "rows with an empty response or without a vector, and rows whose example leaves no room"
    example = """
        load "examples/tasks.jsonl"
        | embed using nano as place
        | score miwv using nano by place
        | top 5 by miwv
    """

    using: Model
    """The model whose weakness is measured."""
    by: Expression | None = None
    """A column of vectors by which rows are similar."""
    encoder: Model | None = None
    """The sentence encoder or language model that gives the vectors where no column does."""
    template: Template | None = None
    """How prompt and response are written out; Alpaca's, and faithful a plain one, where not given."""
    max_tokens: int | None = Field(None, ge=1)
    """Example, prompt and response are cut to so many tokens; the model's context (faithful: 2048) if not
    given."""
    faithful: bool = False
    """Read the row as OpenDataArena's scorer does."""

    @model_validator(mode="before")
    @classmethod
    def _asks_no_encoder_in_vain(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return fields if fields.get("by") is None else {**fields, "encoder": None}

    @model_validator(mode="after")
    def _has_vectors(self) -> Miwv:
        if self.encoder is None and self.by is None:
            raise ValueError("needs vectors: add `by` and a column of vectors, or `encoder =` and a model")
        return self

    def requests(self) -> dict[str, Request]:
        view = View(self.template or ALPACA, limit=self.max_tokens)
        if self.faithful:
            limit = self.max_tokens or ODA_WINDOW
            view = View(self.template or USER, limit=limit, seam="joint", start="tokenizer")
        wanted = {
            "alone": Request(self.using, view, Logprobs("response")),
            "led": Request(self.using, view, Logprobs("response"), shots=True),
        }
        if self.encoder is not None:
            wanted["vector"] = vectors_of(self.encoder, "prompt", ALPACA)
        return wanted

    def shots(self, known: Answers) -> pl.Series:
        import numpy as np
        import polars as pl

        vectors = known.evaluate(self.by) if self.by is not None else known["vector"]
        placed = directions(points(vectors))
        if len(placed) < 2:
            raise _too_few(len(placed), known.rows.height)
        found = np.full(known.rows.height, -1, dtype=np.int64)
        found[placed.rows] = placed.rows[nearest_others(placed.vectors)]
        return pl.Series(found).replace(-1, None).cast(pl.UInt32)

    def reduce(self, known: Answers) -> pl.Series:
        return finite(mean_loss(known["led"]) - mean_loss(known["alone"]))


def nearest_others(unit: np.ndarray) -> np.ndarray:
    """For each unit vector the place of the most similar other one, the first of equals."""
    import numpy as np

    found = np.empty(len(unit), dtype=np.int64)
    for start in range(0, len(unit), BLOCK):
        block = unit[start : start + BLOCK]
        alike = block @ unit.T
        own = np.arange(len(block))
        alike[own, start + own] = -np.inf
        found[start : start + BLOCK] = alike.argmax(axis=1)
    return found


def _too_few(placed: int, rows: int) -> DataError:
    return DataError(
        "E560",
        f"the most similar other row needs two rows with a vector, and there are {placed} of {rows:,}",
        help="give more rows, or look at why their vectors are null",
    )
