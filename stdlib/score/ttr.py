"""Types and tokens of a text: how rich its vocabulary is, and how often its words come back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

from pydantic import Field

from .text import TextScore, plain_words


class Ttr(TextScore):
    """The different words of the text against all its words; high is a rich vocabulary.

    With t types among w tokens: `plain` t/w, `root` t/√w (Guiraud), `corrected` t/√2w (Carroll), `herdan` log
    t/log w, `summer` log log t/log log w, `dugast` log² w/(log w - log t), `yule_i` t²/(Σ f² - t) over the types'
    frequencies f; `msttr` the mean t/w of successive windows (Johnson), `mattr` of all windows (Covington). All
    but the last two depend on the text's length. Definitions and words are those of the package lexicalrichness.
    """

    noun = "ttr"
    positional = ("variant",)
    paper = "https://doi.org/10.1023/A:1001749303137"
    range = "0 or more, `summer` below 0 too; `plain`, `herdan`, `msttr` and `mattr` up to 1"
    missing = "rows whose part has too few words for the variant"
    example = 'load "examples/tasks.jsonl" | score ttr(root) | top 5 by ttr'

    variant: Literal[
        "plain", "root", "corrected", "herdan", "summer", "dugast", "yule_i", "msttr", "mattr"
    ] = "plain"
    """Which formula."""
    window: int = Field(100, ge=1)
    """How many words a window holds; of `msttr` and `mattr`."""

    def measure(self, text: str) -> float | None:
        words = plain_words(text)
        if self.variant == "msttr":
            return segments(words, self.window)
        if self.variant == "mattr":
            return moving(words, self.window)
        return by_formula(RICHNESS[self.variant], words)


class Repetition(TextScore):
    """How often the words of the text come back; high is a poor vocabulary.

    With t types among w tokens, of frequencies f: `yule_k` 10⁴ (Σ f²/w² - 1/w), `simpson` Σ f (f - 1)/(w (w -
    1)), `maas` (log w - log t)/log² w, `herdan_vm` √(Σ (f/w)² - 1/t). Definitions and words are those of the
    package lexicalrichness.
    """

    noun = "repetition"
    positional = ("variant",)
    paper = "https://doi.org/10.1023/A:1001749303137"
    better = "low"
    range = "0 (no word comes twice) and above; `simpson` and `herdan_vm` up to 1"
    missing = "rows whose part has too few words for the variant"
    example = 'load "examples/tasks.jsonl" | score repetition(simpson) | top 5 by repetition'

    variant: Literal["yule_k", "simpson", "maas", "herdan_vm"] = "yule_k"
    """Which formula."""

    def measure(self, text: str) -> float | None:
        return by_formula(REPETITION[self.variant], plain_words(text))


@dataclass(frozen=True, slots=True)
class Lexicon:
    """How many words a text has, and how many different ones."""

    tokens: int
    types: int
    squares: int
    """The squared frequencies of the types, added up."""


Formula = Callable[[Lexicon], float]
RICHNESS: Mapping[str, Formula] = {
    "plain": lambda x: x.types / x.tokens,
    "root": lambda x: x.types / sqrt(x.tokens),
    "corrected": lambda x: x.types / sqrt(2 * x.tokens),
    "herdan": lambda x: log(x.types) / log(x.tokens),
    "summer": lambda x: log(log(x.types)) / log(log(x.tokens)),
    "dugast": lambda x: log(x.tokens) ** 2 / (log(x.tokens) - log(x.types)),
    "yule_i": lambda x: x.types**2 / (x.squares - x.types),
}
REPETITION: Mapping[str, Formula] = {
    "yule_k": lambda x: 1e4 * (x.squares / x.tokens**2 - 1 / x.tokens),
    "simpson": lambda x: (x.squares - x.tokens) / (x.tokens * (x.tokens - 1)),
    "maas": lambda x: (log(x.tokens) - log(x.types)) / log(x.tokens) ** 2,
    "herdan_vm": lambda x: sqrt(max(x.squares / x.tokens**2 - 1 / x.types, 0.0)),
}


def by_formula(formula: Formula, words: list[str]) -> float | None:
    """The formula's value; none where it divides by zero or takes the logarithm of nothing."""
    counts = Counter(words).values()
    lexicon = Lexicon(len(words), len(counts), sum(count**2 for count in counts))
    try:
        return formula(lexicon)
    except (ZeroDivisionError, ValueError):
        return None


def segments(words: list[str], window: int) -> float | None:
    """The mean share of different words in windows that follow each other; the last, where it is the rest of the
    text or ends it, is left out, as lexicalrichness leaves it out."""
    starts = range(0, len(words) - window, window)
    shares = [len(set(words[start : start + window])) / window for start in starts]
    return sum(shares) / len(shares) if shares else None


def moving(words: list[str], window: int) -> float | None:
    """The mean share of different words in all windows of the text."""
    if len(words) < window:
        return None
    counts = Counter(words[:window])
    total = types = len(counts)
    for gone, new in zip(words, words[window:], strict=False):
        types += (counts[new] == 0) - (gone != new and counts[gone] == 1)
        counts[new] += 1
        counts[gone] -= 1
        total += types
    return total / (window * (len(words) - window + 1))
