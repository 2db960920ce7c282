"""Instruction-following difficulty over the tokens that depend on the instruction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Request, Score
from ...compiler.templates import ALPACA, BARE
from ...compiler.values import Model
from ...compiler.wants import Logprobs, Template, Tokens, View
from .predictions import finite

if TYPE_CHECKING:
    import polars as pl

WINDOW = 1024
"""The `max_length` of the authors' script."""


class Sifd(Score):
    """How little the prompt helps where it matters: IFD over the response's tokens that it changes most.

    exp of the mean of Δ_t = loss(t | prompt) − loss(t) over the row's tokens t with a |Δ_t| above the (1 − share)
    quantile of all tokens of all rows (S-IFD of T-SHIRT, Fu et al., 2025, arXiv 2506.01317). The paper
    goes on to average over 30 copies of each row with perturbed embeddings and prefers rows that vary little
    among them; that is left out. It keeps rows whose `ifd(superfiltering)` is below 1.

    `faithful`: tokenise and cut as the authors' script, rows without a token above the quantile being 1; by
    default those rows, of which the prompt changes nothing, have no value rather than the best one.
    """

    noun = "sifd"
    positional = ("share",)
    rowwise = False
    paper = "https://arxiv.org/abs/2506.01317"
    range = "above 0; above 1 the prompt hinders"
    missing = "rows with an empty response, with none left inside the window, and with no token that matters"
    example = 'load "examples/tasks.jsonl" | score sifd using nano | filter sifd < 1 | top 5 by sifd'

    using: Model
    share: float = Field(0.5, gt=0, lt=1)
    """Which part of all tokens counts as changed by the prompt."""
    template: Template | None = None
    """How prompt and response are written out; Alpaca's, and faithful the bare one, where not given."""
    max_tokens: int | None = Field(None, ge=1)
    """Prompt and response are cut to so many tokens; the model's context (faithful: 1024) if not given."""
    faithful: bool = False
    """Read the row as the authors' script does."""

    def requests(self) -> dict[str, Request]:
        given = View(self.template or ALPACA, limit=self.max_tokens)
        alone = given.showing("response")
        if self.faithful:
            limit = self.max_tokens or WINDOW
            given = View(self.template or BARE, limit=limit, seam="joint", start="tokenizer")
            alone = View(given.template, ("response",), limit, "joint", "tokenizer", 1)
        return {
            "given": Request(self.using, given, Logprobs("response")),
            "alone": Request(self.using, alone, Logprobs("response")),
            "tokens": Request(self.using, alone, Tokens("response")),
        }

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        given, alone = known["given"], known["alone"]
        # Alone, a response that begins its text has no log-probability of its first token.
        first = known["tokens"].cast(pl.Int64) - alone.list.len().cast(pl.Int64)
        both = pl.DataFrame({"given": given, "alone": alone, "first": first}).with_row_index("row")
        both = both.with_columns(pl.col("given").list.slice(pl.col("first")))
        lengths = pl.col("given", "alone").list.len()
        count = pl.when(pl.all_horizontal(lengths.is_not_null())).then(pl.min_horizontal(lengths))
        tokens = (
            both.with_columns(pl.col("given", "alone").list.head(count))
            .filter(count > 0)
            .explode("given", "alone")
            .select("row", (pl.col("alone").cast(pl.Float64) - pl.col("given")).alias("change"))
        )
        least = tokens["change"].abs().quantile(1 - self.share, interpolation="linear")
        matter = tokens.filter(pl.col("change").abs() > pl.lit(least, pl.Float64))
        means = matter.group_by("row").agg(pl.mean("change").exp().alias("sifd"))
        scores = both.select("row", scored=count > 0).join(means, on="row", how="left", maintain_order="left")
        if self.faithful:
            filled = pl.when("scored").then(pl.col("sifd").fill_null(1.0))
            return finite(scores.select(filled.alias("sifd"))["sifd"])
        return finite(scores["sifd"])
