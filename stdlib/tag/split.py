"""Tags written in one text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Adds, Answers
from ...compiler.values import Expression
from ...errors import DataError

if TYPE_CHECKING:
    import polars as pl


class Split(Adds):
    """The parts of a text as a list of tags, without the blanks around them; empty parts are left out."""

    verb = "tag"
    noun = "split"
    kind = "list"
    positional = ("text", "at")
    rowwise = True
    example = 'load "examples/tasks.jsonl" | tag split(topic, "-") as tags | diversify tags(10) by tags'

    text: Expression
    """The column of texts; a null gives no list."""
    at: str = Field(",", min_length=1)
    """What stands between two tags."""

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        text = known.evaluate(self.text)
        if text.dtype != pl.String:
            raise DataError(
                "E556",
                f"the column `{self.text.text}` holds {text.dtype}, and only a text is split into tags",
                help="name a column of texts; one of lists of texts holds tags as it is",
            )
        parts = text.str.split(self.at)
        stripped = parts.list.eval(pl.element().str.strip_chars())
        return stripped.list.eval(pl.element().filter(pl.element().str.len_bytes() > 0))
