"""Brings recipe files into their canonical form."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from ..dsl.diagnostic import Diagnostic
from ..dsl.format import format_recipe
from ..dsl.parse import parse
from ..dsl.tree import Source
from .durable import write_whole


@dataclass(frozen=True, slots=True)
class Formatted:
    """A recipe before and after; `text` is as it was where it has problems."""

    name: str
    before: str
    text: str
    problems: tuple[Diagnostic, ...] = ()

    @property
    def changed(self) -> bool:
        return self.before != self.text

    def diff(self) -> str:
        """What changes, as a unified diff."""
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True),
            self.text.splitlines(keepends=True),
            self.name,
            f"{self.name} (formatted)",
        )
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
        )


def formatted(name: str, text: str) -> Formatted:
    """The recipe in its canonical form; one with a mistake of syntax stays as it is."""
    parsed = parse(Source(name, text))
    errors = tuple(d for d in parsed.diagnostics if d.severity == "error")
    if errors:
        return Formatted(name, text, text, errors)
    return Formatted(name, text, format_recipe(parsed.recipe))


def rewrite(recipe: Formatted) -> None:
    """Writes the canonical form over the file, whole or not at all."""
    path = Path(recipe.name).expanduser().resolve()
    mode = path.stat().st_mode
    write_whole(path, recipe.text.encode("utf-8"))
    path.chmod(mode)
