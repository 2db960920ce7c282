"""What every model is made into before it answers: an engine, one class for each kind of model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import polars as pl
import torch

from ...compiler.wants import Want
from .packed import Way
from .packing import Pack

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences


@dataclass(frozen=True, slots=True)
class Asked:
    """An engine with a question about some rows."""

    fed: np.ndarray
    """How many leading tokens of each row the model must read."""
    answer: Callable[[Pack], Mapping[Want, pl.Series]]
    """The answers to a pack, one for each of its rows."""
    share: bool = False
    """Whether beginnings that rows have in common are laid once."""
    alone: bool = False
    """Whether every row goes through the model by itself."""
    bend: float = inf
    """Rows longer than this are read whole and apart from others: the model turns their positions otherwise."""


class Engine(ABC):
    """A model made ready for forward passes; as a text it says how rows go through it."""

    noun: ClassVar[str]
    """What the model is, as messages say it."""
    wants: ClassVar[tuple[type[Want], ...]]
    """What it answers."""
    products: str
    """Which matrix products were chosen."""
    way: Way | None = None
    """How packed rows go through it; without one rows are padded."""
    alone: bool = False
    """Rows that are filled up beside others have other results, so each is run by itself."""

    @property
    def packed(self) -> bool:
        return self.way is not None

    def __str__(self) -> str:
        rows = "single" if self.alone else "packed" if self.packed else "padded"
        return f"{rows} rows, {self.products} products"

    @classmethod
    def prepared(cls, model: LoadedModel) -> Self:
        """The model's engine, made and checked at its first use."""
        if not isinstance(model.engine, cls):
            with torch.inference_mode():
                model.engine = cls.of(model)
        return model.engine

    @classmethod
    @abstractmethod
    def of(cls, model: LoadedModel) -> Self:
        """An engine that gives the model's own results. Raises ModelError where there is none."""

    @abstractmethod
    def ask(self, model: LoadedModel, sequences: Sequences, wants: Sequence[Want]) -> Asked:
        """The question that the wants make, with everything that needs looking up looked up."""
