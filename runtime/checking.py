"""Checks recipes with what a quick look at the disk can answer."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..compiler.check import Checked
from ..compiler.facts import Answer, CardOf, Columns, Question, SchemaOf, Unavailable
from .nano import NAME as NANO
from .peek import peek
from .settings import Settings
from .world import World


def quick_check(texts: Sequence[tuple[str, str]], settings: Settings | None = None) -> Checked:
    """The problems of recipes and their graph; no model is loaded, no hub asked, no dataset read in full."""
    return Glance(settings or Settings()).compile(texts)


class Glance(World):
    """The world as a glance shows it; about what takes longer a check says nothing."""

    def __init__(self, settings: Settings):
        super().__init__(settings)
        self.seen: dict[SchemaOf, Columns | Unavailable | None] = {}

    def may_answer(self, question: Question, data: bool, models: bool) -> bool:
        match question:
            case SchemaOf():
                return data and self.glance(question) is not None
            case CardOf(target):
                return models and is_here(target)
            case _:
                return True

    def answer(self, question: Question) -> Answer:
        if isinstance(question, SchemaOf) and (seen := self.glance(question)) is not None:
            return seen
        return super().answer(question)

    def glance(self, question: SchemaOf) -> Columns | Unavailable | None:
        if question not in self.seen:
            self.seen[question] = peek(question)
        return self.seen[question]


def is_here(target: str) -> bool:
    """Whether a model is made here or meant to lie in a local folder."""
    return target == NANO or target.startswith((".", "/", "~")) or os.path.isdir(target)
