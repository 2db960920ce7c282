"""The page of every code: what it means, with examples that are tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("pages")
CODE = re.compile(r"[EW]\d{3}")
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A fenced block of a page: what it is, what it is about, and its text."""

    kind: str
    """`sel`, `file`, `console` or `text`."""
    about: str
    """`ok`, a code, or the name of a file."""
    text: str


def codes() -> list[str]:
    """Every code that has a page, in order."""
    return sorted(entry.stem for entry in FOLDER.glob("*.md") if CODE.fullmatch(entry.stem))


def page(code: str) -> str:
    """The text of a code's page; raises `KeyError` where there is none."""
    wanted = code.upper()
    if wanted not in codes():
        raise KeyError(code)
    return FOLDER.joinpath(f"{wanted}.md").read_text("utf-8")


def examples(text: str) -> Iterator[Example]:
    """The fenced blocks of a page or of any other document."""
    for kind, about, body in FENCE.findall(text):
        yield Example(kind, about, body)
