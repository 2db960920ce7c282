"""Calls of the library's methods that need no model but `nano`; `test_methods` runs the others."""

from __future__ import annotations

CALLS = {
    "cherry": "cherry(nano, keep = 20%)",
    "clean": "clean((sample 3), threshold = 0.9)",
    "coreset": "coreset(nano, keep = 20%, centres = 3)",
    "deita": "deita(nano, nano, nano, keep = 5)",
    "dq": "dq(nano, keep = 20%, parts = 3)",
    "longest": "longest(keep = 10)",
    "nuggets": "nuggets(nano, (sample 3), over = 0)",
    "perplexity_high": "perplexity_high(nano, keep = 20%)",
    "perplexity_low": "perplexity_low(nano, keep = 20%)",
    "perplexity_middle": "perplexity_middle(nano, keep = 20%)",
    "random": "random(keep = 20%)",
    "rds_plus": "rds_plus(nano, (top 3 by len(response)), keep = 5)",
    "selectit": "selectit(nano, keep = 20%)",
    "semdedup": "semdedup(nano, eps = 0.1)",
    "superfiltering": "superfiltering(nano, keep = 20%)",
    "tshirt": "tshirt(nano, good = 20%, copies = 2)",
}
