"""What the parameters of a training noun say about how to train."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from ...compiler.op import TrainSpec
from ...compiler.values import Model
from ...compiler.wants import Template, View

Adapting: TypeAlias = Literal["none", "lora"]
Schedule: TypeAlias = Literal["cosine", "linear", "constant"]

USUAL: dict[Adapting, Schedule] = {"none": "cosine", "lora": "linear"}
"""The schedules of the Stanford Alpaca trainer and of LESS."""
LORA_DROPOUT = 0.1
"""LESS's; its rank and alpha are the defaults of `TrainSpec`."""


class Parameters(Protocol):
    """The parameters that every training noun has."""

    @property
    def base(self) -> Model: ...
    @property
    def epochs(self) -> float: ...
    @property
    def adapter(self) -> Adapting: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def schedule(self) -> Schedule | None: ...
    @property
    def batch(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def template(self) -> Template: ...
    @property
    def turns(self) -> Literal["last", "whole"]: ...
    @property
    def seed(self) -> int: ...


def spec_of(said: Parameters) -> TrainSpec:
    """How to train, with what the published recipes do where nothing is said."""
    return TrainSpec(
        base=said.base,
        view=View(said.template, limit=said.max_tokens, turns=said.turns),
        epochs=said.epochs,
        learning_rate=said.learning_rate,
        batch=said.batch,
        schedule=said.schedule or USUAL[said.adapter],
        adapter=said.adapter,
        dropout=LORA_DROPOUT if said.adapter == "lora" else 0.0,
        seed=said.seed,
    )
