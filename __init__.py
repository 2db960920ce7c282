"""A language and a compiled executor for choosing the data that language models are fine-tuned on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import (
    BudgetError,
    DataError,
    JudgeError,
    ModelError,
    RecipeError,
    SelrunError,
    StoreError,
)

if TYPE_CHECKING:
    from .runtime.api import compile, explain, run

__all__ = [
    "BudgetError",
    "DataError",
    "JudgeError",
    "ModelError",
    "RecipeError",
    "SelrunError",
    "StoreError",
    "compile",
    "explain",
    "run",
]


def __getattr__(name: str) -> Any:
    """`run`, `compile` and `explain` load the runtime when they are first used."""
    if name in ("compile", "explain", "run"):
        from .runtime import api

        return getattr(api, name)
    raise AttributeError(f"module `selrun` has no attribute `{name}`")
