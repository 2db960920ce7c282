"""Scores and choices by words, against OpenDataArena's scorers, the package lexicalrichness and plain loops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from random import Random
from typing import Any

import polars as pl
from selrun.compiler.values import Data
from selrun.stdlib.score.compression import Compression
from selrun.stdlib.score.distinct import Distinct
from selrun.stdlib.score.gram_entropy import GramEntropy
from selrun.stdlib.score.hdd import Hdd
from selrun.stdlib.score.mtld import Mtld
from selrun.stdlib.score.text import TextScore
from selrun.stdlib.score.ttr import Repetition, Ttr
from selrun.stdlib.score.vocd import Vocd
from selrun.stdlib.select.decontaminate import Decontaminate
from selrun.stdlib.select.minhash import Minhash

from .claim import Compared, claim, golden

SOURCE = "golden/lexical_features.json"
PACKAGE = f"{SOURCE} (lexicalrichness)"
RICHNESS = {
    "plain": "ttr",
    "root": "rttr",
    "corrected": "cttr",
    "herdan": "Herdan",
    "summer": "Summer",
    "dugast": "Dugast",
    "yule_i": "yulei",
    "msttr": "msttr",
    "mattr": "mattr",
}
REPETITION = {"yule_k": "yulek", "simpson": "simpsond", "maas": "Maas", "herdan_vm": "herdanvm"}
Text = tuple[str, dict[str, Any]]


class Written:
    """Rows that have a response and nothing else."""

    def __init__(self, texts: list[str]):
        self.rows = pl.DataFrame({"response": texts})

    def column(self, name: str) -> pl.Series:
        return self.rows[name]


def texts() -> Iterator[Text]:
    """Every text of the reference run and its features."""
    fields = json.loads(golden("lexical_features.json").read_text())["fields"]
    for row in fields["rows"]:
        yield row["text"], row["features"]
        if "features_output_only" in row:
            yield row["row"]["output"], row["features_output_only"]
    for edge in fields["edge"]:
        yield edge["text"], edge["features"]


def scored(op: TextScore, found: list[Text]) -> list[float | None]:
    return op.reduce(Written([text for text, _ in found])).to_list()


def published(faithful: TextScore, corrected: TextScore, feature: str) -> Compared:
    """One feature of OpenDataArena's."""
    found = list(texts())
    theirs = [features[feature] for _, features in found]
    return Compared(scored(faithful, found), theirs, scored(corrected, found))


@claim("mtld", source=SOURCE, tolerance=1e-9)
def mtld() -> Compared:
    return published(Mtld(faithful=True), Mtld(), "mtld")


@claim("hdd", source=SOURCE, tolerance=1e-9)
def hdd() -> Compared:
    return published(Hdd(faithful=True), Hdd(), "hdd")


@claim("vocd", source=SOURCE, tolerance=1e-5)
def vocd() -> Compared:
    return published(Vocd(faithful=True), Vocd(), "vocd")


@claim("compression", source=SOURCE, tolerance=1e-9)
def compression() -> Compared:
    found = [(text, {"ratio": features["compress"]["ratio"]}) for text, features in texts()]
    op = Compression(faithful=True)
    return Compared(scored(op, found), [f["ratio"] for _, f in found], scored(Compression(), found))


@claim("distinct", source=SOURCE, tolerance=1e-9)
def distinct() -> Compared:
    found = [(text, features) for text, features in texts() if features["n_words_ws"] >= 3]
    ours = [value for n in (1, 2, 3) for value in scored(Distinct(n=n, words="raw"), found)]
    return Compared(ours, [features[f"distinct{n}_ws"] for n in (1, 2, 3) for _, features in found])


@claim("gram_entropy", source=SOURCE, tolerance=1e-9)
def gram_entropy() -> Compared:
    found = [(text, features) for text, features in texts() if features["n_words_ws"]]
    return Compared(scored(GramEntropy(words="raw"), found), [f["ws_entropy_bits"] for _, f in found])


@claim("ttr", source=PACKAGE, tolerance=1e-9)
def ttr() -> Compared:
    return of_the_package(
        {name: Ttr.model_validate({"variant": name, "window": 25}) for name in RICHNESS}, RICHNESS
    )


@claim("repetition", source=PACKAGE, tolerance=1e-7)
def repetition() -> Compared:
    return of_the_package(
        {name: Repetition.model_validate({"variant": name}) for name in REPETITION}, REPETITION
    )


@claim("mtld", source=PACKAGE, tolerance=1e-9)
def mtld_by_default() -> Compared:
    """Texts without a repetition, which have no value here, left out."""
    repeated = [(t, f) for t, f in texts() if f["lexicalrichness"]["words"] > f["lexicalrichness"]["terms"]]
    return Compared(scored(Mtld(), repeated), [f["lexicalrichness"]["mtld"] for _, f in repeated])


@claim("hdd", source=PACKAGE, tolerance=1e-9)
def hdd_by_default() -> Compared:
    return of_the_package({"hdd": Hdd()}, {"hdd": "hdd"})


def of_the_package(ops: dict[str, Any], names: dict[str, str]) -> Compared:
    """Features of lexicalrichness; null where it raises."""
    found = list(texts())
    theirs = [value(features["lexicalrichness"][name]) for name in names.values() for _, features in found]
    return Compared([number for name in names for number in scored(ops[name], found)], theirs)


def value(feature: Any) -> float | None:
    return None if isinstance(feature, dict) else feature


EDITED = "own re-implementation: all pairs compared"
OTHER = Data(key="other", label="other.json")


class Pool(Written):
    """Rows with ids, and one other dataset."""

    def __init__(self, texts: list[str], others: list[str]):
        rows, other = (pl.DataFrame({"id": range(len(some)), "response": some}) for some in (texts, others))
        self.rows = rows.with_columns(pl.lit("").alias("prompt"))
        self.other = other.select(pl.all().name.prefix("@"))

    def dataset(self, data: Data) -> pl.DataFrame:
        return self.other


def edited() -> list[str]:
    """Texts of random words; every third is an earlier one with a few words changed."""
    draw, texts = Random(0), list[list[str]]()
    for row in range(300):
        words = [f"w{draw.randrange(500)}" for _ in range(draw.randint(10, 60))]
        copied = draw.choice(texts) if row % 3 == 2 else words
        texts.append([draw.choice(words) if draw.random() < 0.02 else word for word in copied])
    return [" ".join(words) for words in texts]


def ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]


@claim("minhash", source=EDITED)
def minhash() -> Compared:
    texts = edited()
    kept: dict[int, set[tuple[str, ...]]] = {}
    for row, text in enumerate(texts):
        own = set(ngrams(text, 5))
        if all(len(own & other) / len(own | other) < 0.8 for other in kept.values()):
            kept[row] = own
    return Compared(Minhash().pick(Pool(texts, [])).order.to_list(), list(kept))


@claim("decontaminate", source=EDITED)
def decontaminate() -> Compared:
    rows, tests = (edited()[part::2] for part in (0, 1))
    picked = Decontaminate(against=OTHER, of="response").pick(Pool(rows, tests))

    def covered(row: str, test: str) -> float:
        own, length = set(ngrams(row, 8)), len(test.split())
        held = (range(at, at + 8) for at, gram in enumerate(ngrams(test, 8)) if gram in own)
        return len(set(chain.from_iterable(held))) / length

    clean = [i for i, row in enumerate(rows) if max(covered(row, test) for test in tests) <= 0.5]
    return Compared(picked.order.to_list(), clean)
