"""How far a text can be compressed."""

from __future__ import annotations

import zlib

from pydantic import Field

from .text import TextScore


class Compression(TextScore):
    """The size of the text compressed by zlib over its size, in bytes of UTF-8; low says the same over and over.

    OpenDataArena's CompressRatio. Short texts hardly shrink and can grow, so compare texts of like length.

    `faithful`: rounded to four decimals, and an empty text has 0; by default it has no value.
    """

    noun = "compression"
    positional = ("level",)
    paper = "https://github.com/OpenDataArena/OpenDataArena-Tool"
    range = "above 0; above 1 where zlib's frame outweighs what it saves"
    example = 'load "examples/tasks.jsonl" | score compression | filter compression > 0.3'

    level: int = Field(9, ge=0, le=9)
    """zlib's effort, from 0, which compresses nothing, to 9."""
    faithful: bool = False
    """Round, and score empty texts, as OpenDataArena's scorer does."""

    def measure(self, text: str) -> float | None:
        written = text.encode("utf-8", errors="ignore")
        if not written:
            return self.measure_empty()
        ratio = len(zlib.compress(written, self.level)) / len(written)
        return round(ratio, 4) if self.faithful else ratio

    def measure_empty(self) -> float | None:
        return 0.0 if self.faithful else None
