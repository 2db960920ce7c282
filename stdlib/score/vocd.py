"""Which vocabulary would give samples of a text their share of different words."""

from __future__ import annotations

import warnings
from collections import Counter
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from pydantic import Field

from ...compiler.op import Answers
from .hdd import expected_types
from .text import TextScore, part, plain_words

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

Sizes: TypeAlias = tuple[int, ...]
"""How many words the samples hold."""
SMALLEST_SAMPLE = 35
ROUNDS = 3
"""How often the authors draw and fit."""
LOWEST, GREATEST = 1e-4, 1e7
"""Between these lies D."""


class Vocd(TextScore):
    """The parameter D whose curve comes nearest to the share of different words in samples of 35 words and more.

    vocd-D of McKee, Malvern and Richards, 2000: TTR(n) = D/n (√(1 + 2n/D) - 1), fitted by least squares. Words
    are those of the package lexicalrichness. The mean share is that to expect of all samples, exactly
    (McCarthy and Jarvis, 2007), so that nothing is drawn and equal texts have equal values.

    `faithful`: the mean of 100 samples of each size, drawn and fitted three times, as lexicalrichness draws them
    for OpenDataArena's scorer; short texts have 0 instead of no value, and texts without a repetition a great one.
    """

    noun = "vocd"
    positional = ("largest",)
    paper = "https://doi.org/10.1093/llc/15.3.323"
    range = "above 0, most texts 10 to 150; high is varied"
    missing = "rows whose part has no more words than the largest sample, or no word twice"
    example = 'load "examples/tasks.jsonl" | score vocd | filter vocd > 40'

    largest: int = Field(50, ge=SMALLEST_SAMPLE)
    """How many words the largest sample holds; the smallest holds 35."""
    faithful: bool = False
    """Draw and fit as OpenDataArena's scorer does."""
    samples: int = Field(100, ge=1)
    """How many samples of each size the faithful form draws."""
    state: int = 42
    """Where the random numbers of the faithful form begin; the authors' is 42 for every row."""

    def reduce(self, known: Answers) -> pl.Series:
        import numpy as np
        import polars as pl

        words = [plain_words(text or "") for text in part(known.column, self.of)]
        long = [row for row, found in enumerate(words) if len(found) > self.largest]
        found = np.full(len(words), 0.0 if self.faithful else np.nan)
        if self.faithful:
            long.sort(key=lambda row: len(words[row]))  # texts of one length share their samples
            found[long] = [self._drawn(words[row]) for row in long]
        elif long:
            found[long] = fitted(np.stack([shares(words[row], self._sizes) for row in long]), self._sizes)
        return pl.Series(found).fill_nan(None)

    @property
    def _sizes(self) -> Sizes:
        return tuple(range(SMALLEST_SAMPLE, self.largest + 1))

    def _drawn(self, words: list[str]) -> float:
        drawn = drawn_shares(words, samples(len(words), self.state, self._sizes, self.samples))
        return fitted_as_published(drawn, self._sizes)


def shares(words: list[str], sizes: Sizes) -> np.ndarray:
    """`[sizes]`: the share of different words to expect in a sample of each size."""
    import numpy as np

    counts = Counter(words)
    if len(counts) == len(words):
        return np.ones(len(sizes))
    return expected_types(counts.values(), len(words), sizes) / np.asarray(sizes)


def drawn_shares(words: list[str], drawn: list[np.ndarray]) -> np.ndarray:
    """`[rounds, sizes]`: the mean share of different words in the samples drawn of each size."""
    import numpy as np

    _, types = np.unique(words, return_inverse=True)
    means = []
    for places in drawn:
        sample = np.sort(types[places], axis=-1)  # [rounds, samples, size]
        different = 1 + (np.diff(sample, axis=-1) != 0).sum(axis=-1)
        means.append((different / sample.shape[-1]).mean(axis=-1))
    return np.stack(means, axis=-1)


@lru_cache(maxsize=1)
def samples(words: int, state: int, sizes: Sizes, count: int) -> list[np.ndarray]:
    """For each size the places drawn from so many words: `[rounds, samples, size]`."""
    import numpy as np

    random, places = Random(state), range(words)
    rounds = [[[random.sample(places, size) for _ in range(count)] for size in sizes] for _ in range(ROUNDS)]
    return [np.asarray([each[at] for each in rounds]) for at in range(len(sizes))]


def fitted_as_published(shares: np.ndarray, sizes: Sizes) -> float:
    """The mean D of the rounds by scipy's least squares from 1, wherever it stops; 0 where it does not."""
    import numpy as np
    from scipy.optimize import OptimizeWarning, curve_fit

    def curve(n: np.ndarray, d: np.ndarray) -> np.ndarray:
        return d / n * (np.sqrt(1 + 2 * (n / d)) - 1)

    try:
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore", OptimizeWarning)
            return float(np.mean([curve_fit(curve, sizes, each)[0][0] for each in shares]))
    except RuntimeError:
        return 0.0


def fitted(shares: np.ndarray, sizes: Sizes) -> np.ndarray:
    """`[texts]`: for each curve `[texts, sizes]` the D that is nearest by least squares; NaN where every word of
    every sample is another.

    The slope of the sum of squares has one root in D; bisection of its logarithm finds it.
    """
    import numpy as np

    low, high = (np.full((len(shares), 1), np.log(end)) for end in (LOWEST, GREATEST))
    for _ in range(60):
        middle = (low + high) / 2
        rising = slope(shares, np.exp(middle), sizes) > 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    return np.where((shares == 1).all(axis=1), np.nan, np.exp(high[:, 0]))


def slope(shares: np.ndarray, d: np.ndarray, sizes: Sizes) -> np.ndarray:
    """`[texts, 1]`: half the derivative by D of the sum of squares at each text's D."""
    import numpy as np

    ratio = 1 / np.asarray(sizes)
    root = np.sqrt(1 + 2 / (ratio * d))
    curve = ratio * d * (root - 1)
    derivative = ratio * (root - 1) - 1 / (d * root)
    return ((curve - shares) * derivative).sum(axis=1, keepdims=True)
