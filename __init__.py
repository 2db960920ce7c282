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
    from .runtime.search import search

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
    "search",
]


def __getattr__(name: str) -> Any:
    """`run`, `compile`, `explain` and `search` load the runtime when they are first used."""
    if name in ("compile", "explain", "run"):
        from .runtime import api

        return getattr(api, name)
    if name == "search":
        from .runtime.search import search

        return search
    raise AttributeError(f"module `selrun` has no attribute `{name}`")
