"""A brief fine-tune on part of the rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ...compiler.op import Answers, Request, Train, TrainSpec
from ...compiler.templates import ALPACA
from ...compiler.values import Count, Model, Share
from ...compiler.wants import Hidden, Logprobs, Template, View
from .recipe import Adapting, Schedule, spec_of
from .sample import randomly, rows_wanted, thinned, too_few, usable

if TYPE_CHECKING:
    import polars as pl


class Warmup(Train):
    """The model after a brief fine-tune on some of the rows piped in.

    The defaults are those of Cherry's pre-experience phase (Li et al., 2024): one epoch, Adam at 2e-5, 128
    rows a step, 512 tokens, no weight decay, the rate rising over 3 % of the steps. It names no schedule;
    cosine is that of the Stanford Alpaca trainer which it uses. `adapter = lora` trains as the warm-up of
    LESS (Xia et al., 2024): rank 128, alpha 512, dropout 0.1, a linear schedule.
    """

    noun = "warmup"
    positional = ("base", "amount")
    random = True
    paper = "https://arxiv.org/abs/2308.12032"
    example = """
        load "examples/tasks.jsonl"
        | score ifd using warmup(nano, 20%, batch = 16, learning_rate = 0.001)
        | top 20% by ifd
    """

    base: Model
    """The model to start from."""
    amount: Share | Count
    """How many rows to train on, or which part of the rows piped in."""
    pick: Literal["random", "cherry"] = "random"
    """`cherry`: rows of middling perplexity from each k-means cluster of the prompts, as the paper does."""
    epochs: float = Field(1.0, gt=0)
    """How often every row is seen."""
    adapter: Adapting = "none"
    """`none` trains all weights; `lora` low-rank matrices beside the attention's, for far less memory."""
    learning_rate: float = Field(2e-5, gt=0)
    """The highest rate of the schedule."""
    schedule: Schedule | None = None
    """How the rate falls after its rise; `cosine`, or `linear` with `adapter = lora`, if not given."""
    batch: int = Field(128, ge=1)
    """Rows per optimiser step; how many are in memory at once follows from the memory there is."""
    max_tokens: int = Field(512, ge=8)
    """Prompt and response are cut to so many tokens."""
    template: Template = ALPACA
    """How a row is written out for the model."""
    turns: Literal["last", "whole"] = "last"
    """Of a conversation: train on its last response, or on every one."""
    clusters: int = Field(100, ge=1)
    """Of `pick = cherry`: how many clusters; never more than rows to train on."""
    low: float = Field(25.0, ge=0, le=100)
    """Of `pick = cherry`: the percentile of a cluster's perplexities below which rows are passed over."""
    high: float = Field(75.0, ge=0, le=100)
    """Of `pick = cherry`: the percentile above which rows are passed over."""
    n_init: int = Field(10, ge=1)
    """Of `pick = cherry`: how many starts k-means tries."""
    seed: int = 0

    def requests(self) -> dict[str, Request]:
        if self.pick == "random":
            return {}
        prompt = View(self.template, ("prompt",), limit=self.max_tokens)
        return {
            "vector": Request(self.base, prompt, Hidden(-1, "mean", "prompt")),
            "logprobs": Request(self.base, prompt, Logprobs("prompt")),
        }

    def choose(self, known: Answers) -> pl.Series:
        wanted = rows_wanted(self.amount, known.rows.height)
        there = usable(known)
        if self.pick == "cherry":
            there = there.filter(_answered(known).gather(there))
        if wanted > len(there):
            raise too_few(wanted, len(there), known.rows.height)
        return (
            self._by_cluster(known, there, wanted)
            if self.pick == "cherry"
            else randomly(there, wanted, self.seed)
        )

    def spec(self) -> TrainSpec:
        return spec_of(self)

    def _by_cluster(self, known: Answers, there: pl.Series, wanted: int) -> pl.Series:
        """Rows cluster by cluster, as many from each; fewer than wanted where clusters are small."""
        import polars as pl

        from .pick import cherry_pick

        clusters = min(self.clusters, wanted)
        chosen = cherry_pick(
            known["vector"].gather(there).to_numpy(),
            (-known["logprobs"].gather(there).list.mean()).exp().to_numpy(),
            clusters=clusters,
            per_cluster=math.ceil(wanted / clusters),
            low=self.low,
            high=self.high,
            seed=self.seed,
            n_init=self.n_init,
        )
        return there.gather(thinned([int(position) for position in chosen], wanted)).cast(pl.UInt32)


def _answered(known: Answers) -> pl.Series:
    """Which rows have both a vector and a perplexity."""
    return known["vector"].is_not_null() & (known["logprobs"].list.len() > 0).fill_null(False)
