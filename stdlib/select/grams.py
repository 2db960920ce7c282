"""Texts as hashed words, and the n-grams of these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

Unit = Literal["words", "characters"]
PATTERNS: dict[Unit, str] = {"words": r"\w+", "characters": r"\w"}
MULTIPLIER = 0x9E3779B97F4A7C15
"""An odd number by which the hashes of following words differ from those of the same words in another order."""
BLOCK = 2048
"""Texts whose words are held at once, few enough for the processor's cache; any number gives the same result."""


@dataclass(frozen=True, slots=True)
class Ragged:
    """Numbers of every text, one text after the other."""

    numbers: np.ndarray
    starts: np.ndarray
    """`[texts + 1]`: where each text begins, and where the last one ends."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> np.ndarray:
        """`[texts]`"""
        return self.starts[1:] - self.starts[:-1]

    @property
    def texts(self) -> np.ndarray:
        """For each number its text."""
        import numpy as np

        return np.repeat(np.arange(len(self)), self.sizes)

    def __getitem__(self, text: int) -> np.ndarray:
        return self.numbers[self.starts[text] : self.starts[text + 1]]


def blocks(texts: pl.Series) -> Iterator[pl.Series]:
    """The texts in pieces whose words fit into memory; one piece at least."""
    return (texts[start : start + BLOCK] for start in range(0, max(len(texts), 1), BLOCK))


def joined(pieces: Sequence[Ragged]) -> Ragged:
    """The numbers of all texts of the pieces."""
    import numpy as np

    sizes = np.concatenate([piece.sizes for piece in pieces])
    return Ragged(np.concatenate([piece.numbers for piece in pieces]), ends(sizes))


def hashed_words(texts: pl.Series, pattern: str = PATTERNS["words"]) -> Ragged:
    """Hashes of the words of every text, in lower case: `uint64`. A text that is null has none."""
    import polars_hash

    words = texts.fill_null("").str.to_lowercase().str.extract_all(pattern)
    every = words.explode(empty_as_null=False).alias("word").to_frame()
    hashes = every.select(polars_hash.col("word").nchash.xxhash64())
    return Ragged(hashes.to_series().to_numpy(), ends(words.list.len().to_numpy()))


def grams(words: Ragged, n: int) -> Ragged:
    """Hashes of all n words that follow each other within one text: `uint64`."""
    import numpy as np

    sizes = np.maximum(words.sizes.astype(np.int64) - n + 1, 0)
    starts = ends(sizes)
    # Over the ends of texts too, which is quicker than to gather the words of each.
    every = max(len(words.numbers) - n + 1, 0)
    found = words.numbers[:every]
    for step in range(1, n):
        found = mixed(found) + words.numbers[step : every + step]
    at = np.arange(starts[-1]) + np.repeat(words.starts[:-1] - starts[:-1], sizes)
    return Ragged(found[at], starts)


def mixed(numbers: np.ndarray) -> np.ndarray:
    """The numbers with their bits spread: `uint64`, another for each."""
    import numpy as np

    spread = numbers * np.uint64(MULTIPLIER)
    return spread ^ (spread >> np.uint64(29))


def ends(sizes: np.ndarray) -> np.ndarray:
    """`[texts + 1]`: 0 and where each text ends."""
    import numpy as np

    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def sums(ragged: Ragged) -> np.ndarray:
    """The numbers of every text added up; 0 where there are none."""
    import numpy as np

    padded = np.append(ragged.numbers, 0)
    return np.where(ragged.sizes > 0, np.add.reduceat(padded, ragged.starts[:-1]), 0)
