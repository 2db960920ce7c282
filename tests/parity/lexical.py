"""Scores of texts by their words, against OpenDataArena's scorers and the package lexicalrichness."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import polars as pl
from selrun.stdlib.score.compression import Compression
from selrun.stdlib.score.distinct import Distinct
from selrun.stdlib.score.gram_entropy import GramEntropy
from selrun.stdlib.score.hdd import Hdd
from selrun.stdlib.score.mtld import Mtld
from selrun.stdlib.score.text import TextScore
from selrun.stdlib.score.ttr import Repetition, Ttr
from selrun.stdlib.score.vocd import Vocd

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
