"""The words of the language: its verbs, prepositions and reserved names."""

from __future__ import annotations

VERBS: dict[str, str] = {
    "from": "reads a dataset",
    "load": "reads a dataset",
    "filter": "keeps the rows for which a condition is true",
    "derive": "adds columns computed from others",
    "score": "adds a number for every row",
    "judge": "adds the grade that a language model gave",
    "tag": "adds a list of tags",
    "embed": "adds a vector",
    "generate": "adds a model's own response",
    "cluster": "adds a label; rows of one cluster are alike",
    "diversify": "spreads the next choice over clusters, or chooses rows that cover the dataset",
    "dedup": "drops exact or near duplicates",
    "top": "keeps the best rows",
    "bottom": "keeps the worst rows",
    "sample": "keeps random rows",
    "sort": "orders the rows",
    "without": "drops the rows of another dataset",
    "join": "keeps the rows of another dataset",
    "evaluate": "reports about models or about the selection",
    "compare": "compares datasets or models",
    "save": "writes the dataset at that point",
}

STATEMENTS: tuple[str, ...] = ("selrun", "use", "param", "let", "method", "repeat", "from")
CLAUSES: tuple[str, ...] = ("using", "by", "as", "against", "per", "with")
RESERVED: frozenset[str] = frozenset(
    (*STATEMENTS, *CLAUSES, "and", "or", "not", "in", "true", "false", "null")
)
EDITION = 1
