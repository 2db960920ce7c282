"""How evenly a text spreads over its n-grams."""

from __future__ import annotations

from collections import Counter
from math import log2

from pydantic import Field

from .distinct import Words, ngrams, words_of
from .text import TextScore


class GramEntropy(TextScore):
    """The Shannon entropy of the n-grams of the text's words, in bits.

    -Σ p log₂ p over the text's own frequencies, as OpenDataArena's GramEntropy scorer for n = 1, which cuts words
    with NLTK's tokenizer and its data files; here they are cut as `words` says.
    """

    noun = "gram_entropy"
    positional = ("n",)
    paper = "https://github.com/OpenDataArena/OpenDataArena-Tool"
    range = "0 (one n-gram over and over) to log₂ of the number of n-grams"
    missing = "rows whose part has fewer than n words"
    example = 'load "examples/tasks.jsonl" | score gram_entropy | top 5 by gram_entropy'

    n: int = Field(1, ge=1)
    """Of how many words."""
    words: Words = "plain"
    """`plain`: lower case, without punctuation and digits; `raw`: what stands between blanks, as written."""

    def measure(self, text: str) -> float | None:
        counts = Counter(ngrams(words_of(text, self.words), self.n)).values()
        total = sum(counts)
        return log2(total) - sum(count * log2(count) for count in counts) / total if total else None
