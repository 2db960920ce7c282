"""The texts of recipes as the command line names them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ..dsl.diagnostic import Diagnostic, Label
from ..dsl.tree import Source, Span
from ..errors import RecipeError
from .nearby import nearby_files

INLINE = "recipe"
"""What a recipe that stands on the command line is called in messages."""


def recipe_texts(
    paths: Sequence[str], inline: Sequence[str] = (), command: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """Name and text of each recipe; every file that cannot be read is reported, E220, at its place."""
    texts: list[tuple[str, str]] = []
    problems: list[Diagnostic] = []
    for path in paths:
        try:
            texts.append((path, read_text(path)))
        except OSError as error:
            problems.append(unreadable(path, error, command))
        except UnicodeDecodeError:
            problems.append(not_utf8(path, command))
    if problems:
        raise RecipeError(problems)
    return texts + named_inline(inline)


def read_text(path: str) -> str:
    """The text of a file, or of the standard input for `-`."""
    if path == "-":
        return sys.stdin.read()
    return Path(path).expanduser().read_text(encoding="utf-8-sig")


def named_inline(texts: Sequence[str]) -> list[tuple[str, str]]:
    if len(texts) == 1:
        return [(INLINE, texts[0])]
    return [(f"{INLINE} {number}", text) for number, text in enumerate(texts, 1)]


def unreadable(path: str, error: OSError, command: Sequence[str]) -> Diagnostic:
    where = Path(path)
    if where.is_dir():
        inside = sorted(str(p) for p in where.glob("*.sel"))[:8]
        help = f"name its recipes: {' '.join(inside)}" if inside else "no file in it ends in `.sel`"
        return located("E220", f"`{path}` is a folder", path, command, "not a recipe", help)
    if isinstance(error, FileNotFoundError):
        help = nearby_files(where)
        return located("E220", f"no recipe is at `{path}`", path, command, "no such file", help)
    reason = (error.strerror or str(error)).lower()
    return located("E220", f"`{path}` cannot be read: {reason}", path, command, "", "check the file")


def not_utf8(path: str, command: Sequence[str]) -> Diagnostic:
    help = "save the recipe as UTF-8; data is named with `--data`"
    return located("E220", f"`{path}` is not a text", path, command, "not a recipe", help)


def located(code: str, headline: str, word: str, command: Sequence[str], label: str, help: str) -> Diagnostic:
    """A problem shown at its word of the command line."""
    words = list(command) or [word]
    text = shlex.join(["selrun", *words] if command else words)
    start = max(text.find(shlex.quote(word)), 0)
    span = Span(Source("command line", text), start, start + len(shlex.quote(word)))
    return Diagnostic(code, "error", headline, (Label(span, label),), (help,))
