"""Choices of rows by their vectors, against the scripts of MoDS, DiverseEvol, DEITA, DQ and Superfiltering."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from selrun.compiler.op import Select
from selrun.compiler.values import Count, Expression
from selrun.stdlib.select.bins import Bins
from selrun.stdlib.select.facility import Facility
from selrun.stdlib.select.graphcut import graph_cut_bins

from .claim import Compared, claim, golden

DEITA, DIVERSE = "golden/deita_filter.json", "golden/diverseevol_kcenter.json"
DQ, FLA, MODS = "golden/dq_bins.json", "golden/superfiltering_fla.json", "golden/mods_kcenter.json"


def column(name: str) -> Expression:
    return Expression.model_validate({"tree": None, "text": name, "columns": {name}})


PLACE = column("place")


@dataclass
class Rows:
    """Rows that are columns and nothing else."""

    rows: pl.DataFrame
    seed: int = 0
    given: dict[str, pl.Series] = field(default_factory=dict)

    def evaluate(self, expression: Expression) -> pl.Series:
        return self.rows[expression.text]

    def column(self, name: str) -> pl.Series:
        return self.rows[name]


def picks(op: Select, vectors: np.ndarray, **columns: Any) -> list[int]:
    """The rows that an operation chooses by the vectors, in order."""
    place = pl.Series(vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))
    ids = [str(row) for row in range(len(vectors))]
    return op.pick(Rows(pl.DataFrame({"place": place, "id": ids, **columns}))).order.to_list()  # type: ignore[arg-type]


def read(source: str) -> Any:
    return json.loads(golden(source.removeprefix("golden/")).read_text())


@claim("facility: rows of Superfiltering.D", source=FLA)
def rows_of_superfiltering() -> Compared:
    vectors = np.load(golden("superfiltering_fla_emb.npy"))
    expected = read(FLA)["fields"]["fla_positions"]
    return Compared(*located(vectors, expected))


@claim("facility: points on a sphere", source=FLA)
def points_on_a_sphere() -> Compared:
    vectors = np.load(golden("superfiltering_fla_synth_X.npy"))
    return Compared(*located(vectors, read(FLA)["synthetic"]["selected"]))


def located(vectors: np.ndarray, expected: list[int]) -> tuple[list[int], list[int], list[int]]:
    keep = Count(rows=len(expected))
    ops = (Facility(keep=keep, vectors=PLACE, faithful=faithful) for faithful in (True, False))
    ours, corrected = (picks(op, vectors) for op in ops)
    return ours, expected, corrected


@claim("bins: Dataset Quantization", source=DQ)
def bins_of_dataset_quantization() -> Compared:
    vectors = np.load(golden("shared/minilm_instruction_2000.npz"))["emb"]
    runs = read(DQ)["fields"].values()
    drawn = [[quantized(vectors, run, faithful=faithful) for run in runs] for faithful in (True, False)]
    return Compared(drawn[0], [run["sampled_in_order"] for run in runs], drawn[1])


def quantized(vectors: np.ndarray, run: Any, *, faithful: bool) -> list[int]:
    keep = Count(rows=int(run["n"] * run["ratio"]))
    op = Bins(k=run["k"], keep=keep, by=PLACE, seed=run["np_seed"], faithful=faithful)
    return picks(op, vectors[: run["n"]])


@claim("bins: rows of every bin", source=DQ)
def rows_of_every_bin() -> Compared:
    vectors = np.load(golden("shared/minilm_instruction_2000.npz"))["emb"].astype(np.float64)
    runs = read(DQ)["fields"].values()
    found = [graph_cut_bins(vectors[: run["n"]], [run["n"] // run["k"]] * run["k"]) for run in runs]
    return Compared([[b.tolist() for b in bins] for bins in found], [run["bins_sorted"] for run in runs])
