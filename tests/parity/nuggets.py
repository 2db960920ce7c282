"""Nuggets' golden scores, and the sums behind them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from selrun.compiler.values import Data, Model
from selrun.runtime import models
from selrun.runtime.forward import sweep
from selrun.runtime.forward.continued import anchors_of, continued
from selrun.runtime.rows import read_rows
from selrun.runtime.tokens import encode
from selrun.stdlib.score.nuggets import Nuggets, matrix, sums

from .claim import Compared, beside, claim, golden

SOURCE = "golden/nuggets_tiny-llama.json"


class Sums(NamedTuple):
    """Log-probabilities of the anchors' responses, in nats."""

    alone: np.ndarray
    """`[anchors]`."""
    after: np.ndarray
    """`[rows, anchors]`."""

    def shares(self) -> list[float]:
        return (self.after > self.alone).mean(axis=1).tolist()


def expected() -> dict[str, Any]:
    return json.loads(golden("nuggets_tiny-llama.json").read_text())


@cache
def ours(faithful: bool) -> Sums:
    """The sums of the rows and anchors that the file compares."""
    told = expected()
    rows = json.loads(beside(told["input"]["file"]).read_text())
    shown = len(told["fields"]["golden_score"])
    first, last = told["input"]["anchor_rows"]
    start = told["input"]["rows"][0]
    anchors, candidates = frame(rows[first:last]), frame(rows[start : start + shown])
    model = models.load(str(beside(told["model"])), dtype="float32", device="cpu")
    requests = Nuggets(using=Model(key="m"), against=Data(key="a"), faithful=faithful).requests()
    alone, after = requests["alone"], requests["after"]
    context = model.card.context
    known: list[list[float] | None] = [None] * anchors.height
    for block in sweep(model, encode(alone.view, anchors, model.tokenizer, context), [alone.want]):
        for row, answer in zip(block.rows.tolist(), block.answers[alone.want].to_list(), strict=True):
            known[row] = answer
    sequences = encode(after.view, candidates, model.tokenizer, context)
    laid = anchors_of(after.want, anchors, model.tokenizer, context)
    block = continued(model, sequences, np.arange(len(sequences)), after.want, laid)
    alone_sums = sums(pl.Series(known, dtype=pl.List(pl.Float32)))
    return Sums(alone_sums, matrix(block.answers[after.want], anchors.height))


def frame(rows: list[dict[str, str]]) -> pl.DataFrame:
    fields = ("instruction", "input", "output")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        path.write_text(json.dumps([{name: row[name] for name in fields} for row in rows]))
        return read_rows(str(path)).frame


@claim("nuggets", source=SOURCE, tolerance=1e-9)
def golden_scores() -> Compared:
    """The share of anchors that each row makes likelier."""
    return Compared(
        ours=ours(faithful=True).shares(),
        theirs=expected()["fields"]["golden_score"],
        corrected=ours(faithful=False).shares(),
    )


@claim("nuggets", source=SOURCE, tolerance=1e-6)
def sums_after_each_row() -> Compared:
    """The log-probability of every anchor's response after every row."""
    return Compared(ours(faithful=True).after.tolist(), expected()["fields"]["one_shot_logp"])


@claim("nuggets", source=SOURCE, tolerance=1e-6)
def sums_by_themselves() -> Compared:
    """The log-probability of every anchor's response after its prompt."""
    return Compared(ours(faithful=True).alone.tolist(), expected()["anchors"]["zero_shot_logp"])
