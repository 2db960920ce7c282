"""A call of every method of the library on a few rows; a model that is not `nano` is a stand-in of `MODELS`."""

from __future__ import annotations

CALLS = {
    "cherry": "cherry(nano, keep = 20%)",
    "coreset": "coreset(nano, keep = 20%, centres = 3)",
    "longest": "longest(keep = 10)",
    "perplexity_high": "perplexity_high(nano, keep = 20%)",
    "perplexity_low": "perplexity_low(nano, keep = 20%)",
    "perplexity_middle": "perplexity_middle(nano, keep = 20%)",
    "random": "random(keep = 20%)",
    "superfiltering": "superfiltering(nano, keep = 20%)",
}
"""Of a model alone, or of none."""
