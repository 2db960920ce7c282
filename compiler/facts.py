"""What the compiler asks of the world: it does no I/O itself and is called again with the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from .schema import Column
from .values import ModelKind


@dataclass(frozen=True, slots=True)
class TextOf:
    """The text of a recipe that another one uses."""

    path: str


@dataclass(frozen=True, slots=True)
class SchemaOf:
    """The columns of a dataset."""

    source: str
    shape: str | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True)
class CardOf:
    """What a model is."""

    target: str


Question: TypeAlias = TextOf | SchemaOf | CardOf


@dataclass(frozen=True, slots=True)
class Columns:
    """The file's own columns and how many rows there are, where that is known."""

    columns: tuple[Column, ...]
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """What a plan needs to know of a model; read from its files without loading it."""

    kind: ModelKind
    context: int | None = None
    parameters: int | None = None
    hidden: int | None = None
    layers: int | None = None
    vocabulary: int | None = None
    chat: bool = False
    separate: bool = False
    """The labels of its head do not exclude each other."""
    note: str = ""
    """What a user should know before relying on it."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The world has no answer: why, and what to do."""

    code: str
    headline: str
    help: tuple[str, ...] = ()


Answer: TypeAlias = str | Columns | Card | Unavailable


@dataclass
class Facts:
    """The answers known so far; questions without one are collected in `open`."""

    answers: Mapping[Question, Answer] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Short model names and their targets, nearest first: command line, `selrun.toml`, the catalogue."""
    api: frozenset[str] = frozenset()
    """The short names that stand for models behind an API."""
    data: str | None = None
    """What `--data` says."""
    open: dict[Question, None] = field(default_factory=dict)

    def ask(self, question: Question) -> Answer | None:
        """The answer, or `None` after noting the question."""
        if question not in self.answers:
            self.open[question] = None
            return None
        return self.answers[question]
