"""Instruction-following difficulty over the tokens that depend on the instruction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ...compiler.op import Answers, Request, Score
from ...compiler.templates import ALPACA, BARE
from ...compiler.values import Model
from ...compiler.wants import Logprobs, Perturbed, Template, Tokens, View
from .predictions import finite

if TYPE_CHECKING:
    import polars as pl

WINDOW = 1024
"""The `max_length` of the authors' script."""


class Sifd(Score):
    """How little the prompt helps where it matters: IFD over the response's tokens that it changes most.

    exp of the mean of Δ_t = loss(t | prompt) − loss(t) over the row's tokens t with a |Δ_t| above the (1 − share)
    quantile of all tokens of all rows (S-IFD of T-SHIRT, Fu et al., 2025, arXiv 2506.01317). The paper averages
    over 30 `copies` of each row with perturbed embeddings, and of the rows with a high mean keeps those that vary
    little: `score sifd(copies = 30)`, and once more with `take = deviation` under another name, of which `bottom`
    keeps the low ones. It keeps rows whose `ifd(superfiltering)` is below 1.

    `faithful`: tokenise and cut as the authors' script, rows and copies without a token above the quantile being
    1; by default those, of which the prompt changes nothing, have no value rather than the best one.
    """

    noun = "sifd"
    positional = ("share",)
    rowwise = False
    paper = "https://arxiv.org/abs/2506.01317"
    range = "above 0; above 1 the prompt hinders; with `take = deviation` 0 or more"
    missing = "rows with an empty response, with none left inside the window, and with no token that matters"
    example = 'load "examples/tasks.jsonl" | score sifd using nano | filter sifd < 1 | top 5 by sifd'

    using: Model
    share: float = Field(0.5, gt=0, lt=1)
    """Which part of all tokens counts as changed by the prompt."""
    copies: int = Field(0, ge=0)
    """In so many perturbed copies of each row; in the row as it is where 0."""
    take: Literal["mean", "deviation"] = "mean"
    """Of the copies: their mean, or their standard deviation."""
    noise: float = Field(5.0, gt=0)
    """What copies add to embeddings: draws from ±noise / √(tokens · size)."""
    template: Template | None = None
    """How prompt and response are written out; Alpaca's, and faithful the bare one, where not given."""
    max_tokens: int | None = Field(None, ge=1)
    """Prompt and response are cut to so many tokens; the model's context (faithful: 1024) if not given."""
    seed: int = 0
    """Draws the noise."""
    faithful: bool = False
    """Read the row as the authors' script does."""

    @model_validator(mode="after")
    def _has_copies_that_vary(self) -> Sifd:
        if self.take == "deviation" and self.copies < 2:
            raise ValueError("needs two copies or more for a deviation: add `copies = 30`")
        return self

    def requests(self) -> dict[str, Request]:
        given = View(self.template or ALPACA, limit=self.max_tokens)
        alone = given.showing("response")
        if self.faithful:
            limit = self.max_tokens or WINDOW
            given = View(self.template or BARE, limit=limit, seam="joint", start="tokenizer")
            alone = View(given.template, ("response",), limit, "joint", "tokenizer", 1)
        if self.copies:
            want = Perturbed(alone, self.copies, self.noise, self.seed)
            return {"changes": Request(self.using, given, want)}
        return {
            "given": Request(self.using, given, Logprobs("response")),
            "alone": Request(self.using, alone, Logprobs("response")),
            "tokens": Request(self.using, alone, Tokens("response")),
        }

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        changes = known["changes"] if self.copies else changed(known)
        tokens = by_copy(changes.cast(pl.List(pl.Float64)), self.copies or 1)
        least = tokens["change"].abs().quantile(1 - self.share, interpolation="linear")
        matter = pl.col("change").filter(pl.col("change").abs() > pl.lit(least, pl.Float64))
        of_copies = tokens.group_by("row", "copy", maintain_order=True).agg(matter.mean().exp().alias("sifd"))
        if self.faithful:
            of_copies = of_copies.with_columns(pl.col("sifd").fill_null(1.0))
        taken = pl.mean("sifd") if self.take == "mean" else pl.std("sifd", ddof=0)
        every = pl.DataFrame({"row": pl.arange(len(changes), dtype=pl.UInt32, eager=True)})
        found = every.join(of_copies.group_by("row").agg(taken), on="row", how="left", maintain_order="left")
        return finite(found["sifd"])


def by_copy(changes: pl.Series, copies: int) -> pl.DataFrame:
    """Every token's change, with its row and the copy of it: `row`, `copy`, `change`."""
    import polars as pl

    count = pl.col("change").list.len()
    rows = changes.to_frame("change").with_row_index("row").filter(count > 0)
    numbered = rows.with_columns((pl.int_ranges(count) // (count // copies)).alias("copy"))
    return numbered.explode("change", "copy")


def changed(known: Answers) -> pl.Series:
    """What the prompt adds to the loss of every token that both passes predict."""
    import polars as pl

    given, alone = known["given"], known["alone"]
    # Alone, a response that begins its text has no log-probability of its first token.
    first = known["tokens"].cast(pl.Int64) - alone.list.len().cast(pl.Int64)
    both = pl.DataFrame({"given": given, "alone": alone, "first": first})
    both = both.with_columns(pl.col("given").list.slice(pl.col("first")))
    count = pl.min_horizontal(pl.col("given", "alone").list.len())
    there = pl.all_horizontal(pl.col("given", "alone").is_not_null())
    heads = [pl.col(name).cast(pl.List(pl.Float64)).list.head(count) for name in ("alone", "given")]
    return both.select(pl.when(there).then(heads[0] - heads[1]).alias("change"))["change"]
