"""Every error that selrun raises on purpose.

SelrunError
├── RecipeError    the recipe has problems; carries the located diagnostics   exit 1
├── DataError      a file or a row cannot be used                             exit 2
├── ModelError     a model cannot be found, loaded or used                    exit 2
├── StoreError     the store or an output cannot be written or trusted        exit 2
├── JudgeError     an LLM judge cannot be asked or understood                 exit 2
└── BudgetError    going on would cost more than was allowed                  exit 4

A run stopped with Ctrl-C ends with exit 3; running the same command again continues it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from .dsl.diagnostic import Diagnostic


class SelrunError(Exception):
    """A failure that the user can act on: a code, one fact, and what to do."""

    exit_code: ClassVar[int] = 2

    def __init__(
        self, code: str, headline: str, *, help: str | Sequence[str] = (), notes: Sequence[str] = ()
    ):
        super().__init__(headline)
        self.code = code
        self.headline = headline
        self.help = (help,) if isinstance(help, str) else tuple(help)
        self.notes = tuple(notes)

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.headline}"]
        lines += [f"  = note: {note}" for note in self.notes]
        lines += [f"  = help: {line}" for line in self.help]
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Callable[..., SelrunError], tuple[object, ...]]:
        return _restore, (type(self), self.code, self.headline, self.help, self.notes)


def _restore(
    kind: type[SelrunError], code: str, headline: str, help: tuple[str, ...], notes: tuple[str, ...]
):
    return kind(code, headline, help=help, notes=notes)


class RecipeError(SelrunError):
    """The recipe has problems; all of them are in `diagnostics`."""

    exit_code = 1

    def __init__(self, diagnostics: Sequence[Diagnostic]):
        first = diagnostics[0]
        super().__init__(first.code, first.headline, help=first.help)
        self.diagnostics = tuple(diagnostics)

    def __reduce__(self) -> tuple[Callable[..., SelrunError], tuple[object, ...]]:
        return RecipeError, (self.diagnostics,)


class DataError(SelrunError):
    """A file or a row cannot be used."""


class ModelError(SelrunError):
    """A model cannot be found, loaded or used as asked."""


class StoreError(SelrunError):
    """The store or an output cannot be written, or what it holds cannot be trusted."""


class JudgeError(SelrunError):
    """An LLM judge cannot be asked, or its reply cannot be read."""


class BudgetError(SelrunError):
    """Going on would cost more than the recipe or the user allows."""

    exit_code = 4
