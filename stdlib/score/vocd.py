"""Which vocabulary would give samples of a text their share of different words."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING

from ...compiler.op import Answers
from .hdd import expected_types
from .text import TextScore, part, plain_words

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

SIZES = range(35, 51)
"""The sizes of the samples."""
SAMPLES, ROUNDS = 100, 3
"""How many samples of each size the authors draw, and how often they repeat it."""
SMALLEST, GREATEST = 1e-4, 1e7
"""Between these lies D."""


class Vocd(TextScore):
    """The parameter D whose curve comes nearest to the share of different words in samples of 35 to 50 words.

    vocd-D of McKee, Malvern and Richards, 2000: TTR(n) = D/n (√(1 + 2n/D) - 1), fitted by least squares. Words
    are those of the package lexicalrichness. The mean share is that to expect of all samples, exactly
    (McCarthy and Jarvis, 2007), so that nothing is drawn and equal texts have equal values.

    `faithful`: the mean of 100 samples of each size, drawn and fitted three times, as lexicalrichness draws them
    for OpenDataArena's scorer; short texts have 0 instead of no value.
    """

    noun = "vocd"
    paper = "https://doi.org/10.1093/llc/15.3.323"
    range = "above 0, most texts 10 to 150; high is varied"
    missing = "rows whose part has 50 words or fewer, or no word twice"
    example = 'load "examples/tasks.jsonl" | score vocd | filter vocd > 40'

    faithful: bool = False
    """Draw the samples as OpenDataArena's scorer does."""
    state: int = 42
    """Where the random numbers of the faithful form begin; the authors' is 42 for every row."""

    def reduce(self, known: Answers) -> pl.Series:
        import numpy as np
        import polars as pl

        words = [plain_words(text or "") for text in part(known.column, self.of)]
        long = [row for row, found in enumerate(words) if len(found) > SIZES[-1]]
        long.sort(key=lambda row: len(words[row]))  # texts of one length share their samples
        found = np.full(len(words), 0.0 if self.faithful else np.nan)
        if self.faithful:
            found[long] = [fitted(drawn_shares(words[row], self.state)).mean() for row in long]
        elif long:
            found[long] = fitted(np.stack([shares(words[row]) for row in long]))
        return pl.Series(found).fill_nan(None)


def shares(words: list[str]) -> np.ndarray:
    """`[sizes]`: the share of different words to expect in a sample of each size."""
    import numpy as np

    return expected_types(Counter(words).values(), len(words), SIZES) / np.asarray(SIZES)


def drawn_shares(words: list[str], state: int) -> np.ndarray:
    """`[rounds, sizes]`: the mean share of different words in the samples drawn of each size."""
    import numpy as np

    _, types = np.unique(words, return_inverse=True)
    means = []
    for sample in samples(len(words), state):
        drawn = np.sort(types[sample], axis=-1)  # [rounds, samples, size]
        different = 1 + (np.diff(drawn, axis=-1) != 0).sum(axis=-1)
        means.append((different / drawn.shape[-1]).mean(axis=-1))
    return np.stack(means, axis=-1)


@lru_cache(maxsize=1)
def samples(words: int, state: int) -> list[np.ndarray]:
    """For each size the places drawn from so many words: `[rounds, samples, size]`."""
    import numpy as np

    random, places = Random(state), range(words)
    rounds = [
        [[random.sample(places, size) for _ in range(SAMPLES)] for size in SIZES] for _ in range(ROUNDS)
    ]
    return [np.asarray([each[at] for each in rounds], dtype=np.uint16) for at in range(len(SIZES))]


def fitted(shares: np.ndarray) -> np.ndarray:
    """`[texts]`: for each curve `[texts, sizes]` the D that is nearest by least squares; NaN where every word of
    every sample is another.

    The slope of the sum of squares has one root in D; bisection of its logarithm finds it.
    """
    import numpy as np

    low, high = (np.full((len(shares), 1), np.log(end)) for end in (SMALLEST, GREATEST))
    for _ in range(60):
        middle = (low + high) / 2
        rising = slope(shares, np.exp(middle)) > 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    return np.where((shares == 1).all(axis=1), np.nan, np.exp(high[:, 0]))


def slope(shares: np.ndarray, d: np.ndarray) -> np.ndarray:
    """`[texts, 1]`: half the derivative by D of the sum of squares at each text's D."""
    import numpy as np

    ratio = 1 / np.asarray(SIZES)
    root = np.sqrt(1 + 2 / (ratio * d))
    curve = ratio * d * (root - 1)
    derivative = ratio * (root - 1) - 1 / (d * root)
    return ((curve - shares) * derivative).sum(axis=1, keepdims=True)
