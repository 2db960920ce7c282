"""How many different words a small sample of a text holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from .text import TextScore, bare_words, plain_words

if TYPE_CHECKING:
    import numpy as np


class Hdd(TextScore):
    """The share of different words to expect among `draws` words drawn from the text.

    HD-D of McCarthy and Jarvis, 2007: Σ over types of 1 - C(N - f, n) / C(N, n), over n; exact, nothing is drawn.
    Words are those of the package lexicalrichness.

    `faithful`: as OpenDataArena's scorer, which draws all words of a text with fewer than `draws`, so that short
    texts come out varied, and counts a lone punctuation mark in N; by default a text of fewer words has no value.
    """

    noun = "hdd"
    positional = ("draws",)
    paper = "https://doi.org/10.1177/0265532207080767"
    range = "0 to 1; high is varied"
    missing = "rows whose part has fewer than `draws` words"
    example = 'load "examples/tasks.jsonl" | score hdd(10) | top 5 by hdd'

    draws: int = Field(42, ge=1)
    """How many words are drawn in thought."""
    faithful: bool = False
    """Words and short texts are as in OpenDataArena's scorer."""

    def measure(self, text: str) -> float | None:
        words = bare_words(text) if self.faithful else plain_words(text)
        draws = min(self.draws, len(words)) if self.faithful else self.draws
        if draws == 0 or len(words) < draws:
            return 0.0 if self.faithful else None
        counts = Counter(words)
        counts.pop("", None)
        return float(expected_types(counts.values(), len(words), [draws])[0] / draws)

    def measure_empty(self) -> float | None:
        return 0.0 if self.faithful else None


def expected_types(counts: Iterable[int], words: int, draws: Sequence[int]) -> np.ndarray:
    """`[draws]`: how many types to expect when so many of the words are drawn without replacement."""
    import numpy as np

    often = np.bincount(np.fromiter(counts, dtype=np.int64))[1:]
    i = np.arange(len(often))
    left = np.maximum(words - np.asarray(draws)[:, None] - i, 0)
    absent = np.cumprod(left / (words - i), axis=1)  # [draws, f]: chance that a type of f tokens is not drawn
    return ((1 - absent) * often).sum(axis=1)
