"""What tests of whole runs share: small rows, and a generator of valid recipes over them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def few_rows(count: int = 32, longest: int = 160) -> list[dict[str, Any]]:
    """The first rows of the example dataset that are short."""
    rows = map(json.loads, (ROOT / "examples" / "tasks.jsonl").read_text("utf-8").splitlines())
    short = [row for row in rows if len(row["instruction"] + row["input"] + row["output"]) <= longest]
    return short[:count]


def written(rows: Iterable[Mapping[str, Any]], path: Path) -> Path:
    """The rows as JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


class Maker:
    """Makes valid recipes: every name is of a column that is there."""

    def __init__(self, seed: int):
        self.random = Random(seed)
        self.scores: list[str] = []
        self.vectors: list[str] = []
        self.number = 0

    def recipe(self) -> str:
        steps = [self.score()]
        steps += [self.random.choice(self.kinds())() for _ in range(self.random.randint(3, 7))]
        return "let warm = warmup(nano, 25%, batch = 8)\n" + "\n| ".join(steps)

    def kinds(self) -> list[Callable[[], str]]:
        often = [self.score, self.filter, self.filter]
        return [*often, self.derive, self.embed, self.cluster, self.mark, self.choose, self.other, self.union]

    def name(self) -> str:
        self.number += 1
        return f"c{self.number}"

    def value(self) -> str:
        return self.random.choice([*self.scores, "len(response)", "words(prompt)"])

    def model(self) -> str:
        return self.random.choice(["nano", "nano", "warm"])

    def score(self) -> str:
        noun = self.random.choice(
            [
                "ifd",
                "ifd(superfiltering)",
                "perplexity",
                "perplexity(prompt)",
                "entropy",
                "loss",
                "loss(whole)",
            ]
        )
        name = self.name()
        self.scores.append(name)
        if self.random.random() < 0.2:
            return f"score length({self.random.choice(['words', 'characters'])}) as {name}"
        return f"score {noun} using {self.model()} as {name}"

    def filter(self) -> str:
        conditions = [
            f"len(response) > {self.random.randint(1, 40)}",
            f"words(prompt) > {self.random.randint(1, 6)}",
            'not contains(lower(prompt), "zebra")',
            'topic != "maths" or len(prompt) < 90',
            f"rank({self.value()}) > {self.random.randint(1, 4)}",
            f"z({self.value()}) < 2",
            f"{self.value()} > 0",
        ]
        return f"filter {self.random.choice(conditions)}"

    def derive(self) -> str:
        value, other, name = self.value(), self.value(), self.name()
        made = [f"{value} + 2 * {other}", f"z({value}) - minmax({other})", f"{value} - mean({value})"]
        self.scores.append(name)
        return f"derive {name} = {self.random.choice(made)}"

    def embed(self) -> str:
        name = self.name()
        self.vectors.append(name)
        return f"embed using nano as {name} with of = {self.random.choice(['prompt', 'response', 'whole'])}"

    def cluster(self) -> str:
        source = self.random.choice(["using nano", *(f"by {name}" for name in self.vectors)])
        return f"cluster kmeans({self.random.randint(2, 3)}) {source} as {self.name()}"

    def mark(self) -> str:
        return f"diversify kmeans({self.random.randint(2, 3)}) using nano\n| {self.choose()}"

    def choose(self) -> str:
        share = f"{self.random.randint(70, 95)}%"
        verbs = [f"top {share} by {self.value()}", f"bottom {share} by {self.value()}", f"sample {share}"]
        return self.random.choice(verbs)

    def other(self) -> str:
        return self.random.choice(
            [
                "dedup exact",
                f"sort by {self.value()}",
                f"without (top 2 by {self.value()})",
                f"join (bottom 90% by {self.value()})",
                "top 4 by len(response) per topic",
                "diversify kcenter(80%) using nano",
            ]
        )

    def union(self) -> str:
        left = f"top 50% by {self.value()}"
        right = self.random.choice(
            [f"bottom 40% by {self.value()}", "sample 40%", "filter len(response) > 30"]
        )
        return f"({left}) {self.random.choice('+-&')} ({right})"
