"""Scorers that read a causal language model's distributions, against the published scripts' outputs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import selrun

from .claim import Compared, beside, claim, golden

ODA = "golden/oda_lm_scorers.json"
WINDOW = "max_tokens = 1024"
ALL_ROWS: Mapping[str, Iterable[int]] = {"tiny-llama": range(10), "tiny-gpt2": range(10)}


def column(step: str, rows: Sequence[dict[str, Any]], model: str) -> list[float | None]:
    """What `score STEP` gives the rows with a model of the reference data."""
    with tempfile.TemporaryDirectory() as store:
        run = selrun.run(
            f"score {step} as value", rows, models={"m": beside(f"models/{model}")}, store=store, device="cpu"
        )
    return run.rows["value"].to_list()


@cache
def oda() -> dict[str, Any]:
    return json.loads(golden("oda_lm_scorers.json").read_text())


def oda_rows() -> list[dict[str, Any]]:
    return [{k: row[k] for k in ("instruction", "input", "output")} for row in oda()["input"]["rows"]]


def oda_scores(scorer: str, setting: str) -> list[float]:
    return [row["score"] for row in oda()["fields"][scorer][setting]["result"]]


def as_oda(noun: str, scorer: str, *fields: str, rows: Mapping[str, Iterable[int]] = ALL_ROWS) -> Compared:
    """One scorer on both tiny models: faithful, as OpenDataArena has it, and by default."""
    ours, theirs, corrected = [], [], []
    for setting in oda()["fields"][scorer]:
        model, _, cutoff = setting.partition("/cutoff=")
        given = ", ".join([*fields, *([f"share = {cutoff}"] if cutoff else []), WINDOW])
        for found, faithful in ((ours, "faithful = true, "), (corrected, "")):
            scores = column(f"{noun} using m with {faithful}{given}", oda_rows(), model)
            found += [scores[row] for row in rows[model]]
        expected = oda_scores(scorer, setting)
        theirs += [expected[row] for row in rows[model]]
    return Compared(ours, theirs, corrected)


@claim("perplexity", source=ODA, tolerance=1e-5)
def perplexity() -> Compared:
    return as_oda("perplexity", "PPLScorer")


@claim("normloss", source=ODA, tolerance=1e-5)
def normloss() -> Compared:
    return as_oda("normloss", "NormLossScorer")


@claim("upd", source=ODA, tolerance=1e-5)
def upd() -> Compared:
    return as_oda("upd", "UPDScorer")


# The scorer pads on the left and tells the model no positions: GPT-2, which counts them from the padding, gives
# rows other values than they have by themselves. Of each batch of four only the longest row is not padded.
UNPADDED = {"tiny-llama": range(10), "tiny-gpt2": (3, 6, 8)}


@claim("hes", source=ODA, tolerance=1e-5)
def hes() -> Compared:
    return as_oda("hes", "HESScorer", rows=UNPADDED)


@claim("ifd(oda)", source=ODA, tolerance=1e-5)
def ifd() -> Compared:
    return as_oda("ifd", "IFDScorer", "variant = oda")


@claim("ask_llm", source=ODA, tolerance=1e-5)
def ask_llm() -> Compared:
    return as_oda("ask_llm", "AskLlmScorer")
