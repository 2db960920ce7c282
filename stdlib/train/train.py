"""A fine-tune on a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ...compiler.op import Answers, Train, TrainSpec
from ...compiler.templates import ALPACA
from ...compiler.values import Data, Model
from ...compiler.wants import Template
from ...errors import DataError
from .recipe import Adapting, Schedule, spec_of
from .sample import usable

if TYPE_CHECKING:
    import polars as pl


class TrainOn(Train):
    """The model after a fine-tune on every row of a dataset that has a prompt and a response.

    The defaults are those of Cherry's final training: three epochs, otherwise as `warmup`.
    """

    noun = "train"
    positional = ("base",)
    random = True
    paper = "https://arxiv.org/abs/2308.12032"
    example = """
        load "examples/tasks.jsonl"
        | score ifd using train(nano, on = (sample 20), batch = 4, learning_rate = 0.001)
        | top 20% by ifd
    """

    base: Model
    """The model to start from."""
    on: Data
    """The rows to train on."""
    epochs: float = Field(3.0, gt=0)
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
    seed: int = 0

    def choose(self, known: Answers) -> pl.Series:
        there = usable(known)
        if len(there):
            return there
        raise DataError(
            "E452",
            f"none of {known.rows.height:,} rows has both a prompt and a response to train on",
            help="train on rows with both; `selrun ops train` shows how rows are read",
        )

    def spec(self) -> TrainSpec:
        return spec_of(self)
