"""Choices of rows by their vectors, against the scripts of MoDS, DiverseEvol, DEITA, DQ and Superfiltering."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from selrun.compiler.op import Select
from selrun.compiler.values import Count, Expression, Model
from selrun.runtime.tokens import encode
from selrun.stdlib.select.bins import Bins
from selrun.stdlib.select.facility import Facility
from selrun.stdlib.select.farthest import farthest_first
from selrun.stdlib.select.graphcut import graph_cut_bins
from selrun.stdlib.select.kcenter import Kcenter
from selrun.stdlib.select.repr import Repr

from .claim import Compared, beside, claim, golden

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
    vectors = instructions()
    runs = read(DQ)["fields"].values()
    drawn = [[quantized(vectors, run, faithful=faithful) for run in runs] for faithful in (True, False)]
    return Compared(drawn[0], [run["sampled_in_order"] for run in runs], drawn[1])


def quantized(vectors: np.ndarray, run: Any, *, faithful: bool) -> list[int]:
    keep = Count(rows=int(run["n"] * run["ratio"]))
    op = Bins(k=run["k"], keep=keep, by=PLACE, seed=run["np_seed"], faithful=faithful)
    return picks(op, vectors[: run["n"]])


@claim("bins: rows of every bin", source=DQ)
def rows_of_every_bin() -> Compared:
    vectors = instructions().astype(np.float64)
    runs = read(DQ)["fields"].values()
    found = [graph_cut_bins(vectors[: run["n"]], [run["n"] // run["k"]] * run["k"]) for run in runs]
    return Compared([[b.tolist() for b in bins] for bins in found], [run["bins_sorted"] for run in runs])


@claim("repr: DEITA's filter", source=DEITA)
def filter_of_deita() -> Compared:
    vectors = np.load(golden("deita_filter_inputs.npz"))["embedding"]
    expected = read(DEITA)["fields"]
    runs = [run["settings"] for run in expected["runs"]]
    found = [
        [sieved(vectors, expected["final_score"], settings, faithful=faithful) for settings in runs]
        for faithful in (True, False)
    ]
    return Compared(found[0], [run["selected"] for run in expected["runs"]], found[1])


@claim("repr: DEITA's filter on six rows", source=DEITA)
def filter_of_deita_on_six_rows() -> Compared:
    tiny = read(DEITA)["fields"]["tiny"]
    vectors = np.array(tiny["embedding"], dtype=np.float32)
    found = [
        [sieved(vectors, tiny["score"], run, faithful=faithful) for run in tiny["runs"]]
        for faithful in (True, False)
    ]
    return Compared(found[0], [run["selected"] for run in tiny["runs"]], found[1])


def sieved(vectors: np.ndarray, scores: list[float], settings: dict, *, faithful: bool) -> list[int]:
    size = settings.get("data_size", -1)
    names = {"batch_size": "batch", "distance_metric": "metric", "normalize_emb": "normalize"}
    quirks = {names[name]: value for name, value in settings.items() if name in names}
    op = Repr(
        threshold=settings["threshold"],
        keep=Count(rows=size) if size > 0 else None,
        by=column("score"),
        vectors=PLACE,
        faithful=faithful,
        **(quirks if faithful else {}),
    )
    return picks(op, vectors, score=scores)


@claim("kcenter: MoDS", source=MODS)
def kcenter_of_mods() -> Compared:
    expected = read(MODS)["fields"]["seed0_k200"]["selected_in_order"]
    return Compared(picks(Kcenter(keep=Count(rows=200), by=PLACE), instructions()), expected)


@claim("kcenter: MoDS, distance of the farthest row", source=MODS, tolerance=1e-6)
def radius_of_mods() -> Compared:
    place = pl.Series(instructions())
    picked = Kcenter(keep=Count(rows=200), by=PLACE).pick(Rows(pl.DataFrame({"place": place})))  # type: ignore[arg-type]
    expected = read(MODS)["fields"]["seed0_k200"]["final_max_min_dist"]
    return Compared([picked.notes["radius"]], [expected])


@claim("kcenter: MoDS from chosen rows", source=MODS)
def kcenter_of_mods_goes_on() -> Compared:
    expected = read(MODS)["fields"]["warm_start_20_then_80"]
    covered = farthest_first(instructions(), expected["already_selected"], 80)
    return Compared(covered.order, expected["selected_in_order_including_already"])


@claim("kcenter: DiverseEvol", source=DIVERSE)
def kcenter_of_diverseevol() -> Compared:
    expected = read(DIVERSE)["fields"]["seed0"]
    found = [added(instructions(), expected["init_labeled"], 100, faithful=f) for f in (True, False)]
    return Compared(found[0], expected["new_idx_sorted"], found[1])


@claim("kcenter: DiverseEvol from the rows that it draws", source=DIVERSE)
def kcenter_of_diverseevol_from_the_start() -> Compared:
    expected = read(DIVERSE)["fields"]["seed0"]
    op = Kcenter(keep=Count(rows=200), by=PLACE, variant="diverseevol", faithful=True)
    return Compared(picks(op, instructions()), sorted(expected["init_labeled"] + expected["new_idx_sorted"]))


@claim("kcenter: DiverseEvol, whitened", source=DIVERSE)
def kcenter_of_diverseevol_whitened() -> Compared:
    expected = read(DIVERSE)["fields"]["whiten64_seed0"]
    seen = expected["init_labeled"]
    found = [added(instructions(), seen, 100, whiten=64, faithful=f) for f in (True, False)]
    return Compared(found[0], expected["new_idx_sorted"], found[1])


@claim("kcenter: DiverseEvol on near copies", source=DIVERSE)
def kcenter_of_diverseevol_on_near_copies() -> Compared:
    expected = read(DIVERSE)["fields"]["duplicate_demo"]["new_idx_sorted"]
    vectors = np.load(golden("diverseevol_duplicate_demo.npz"))["emb"]
    found = [added(vectors, range(40), 20, faithful=f) for f in (True, False)]
    return Compared(found[0], expected, found[1])


@claim("kcenter: DiverseEvol on near copies, without NaN", source=DIVERSE)
def kcenter_without_nan() -> Compared:
    expected = read(DIVERSE)["fields"]["duplicate_demo"]["corrected_order_nan_as_zero"]
    vectors = np.load(golden("diverseevol_duplicate_demo.npz"))["emb"]
    return Compared(farthest_first(vectors, range(40), 20).order[40:], expected)


@claim("kcenter: what DiverseEvol's model reads", source="golden/diverseevol_embeddings.json")
def tokens_of_diverseevol() -> Compared:
    from transformers import AutoTokenizer

    known = read("golden/diverseevol_embeddings.json")
    rows = pl.DataFrame(known["input"]["rows"][: len(known["fields"]["input_ids_first3"])])
    frame = rows.select(
        pl.col("instruction").alias("@instruction"),
        pl.col("instruction").alias("@prompt"),
        pl.col("input").alias("@input"),
        pl.col("output").alias("@response"),
        pl.lit(None, pl.String).alias("@system"),
        pl.lit(None, pl.String).alias("@history"),
    )
    model = Model(key="m", label="m", kind="causal")
    op = Kcenter(keep=Count(rows=1), using=model, of="whole", variant="diverseevol", faithful=True)
    tokenizer = AutoTokenizer.from_pretrained(beside("models/tiny-llama"))
    ours = encode(op.requests()["vector"].view, frame, tokenizer).ids
    return Compared(list(ours), [token for row in known["fields"]["input_ids_first3"] for token in row])


def added(vectors: np.ndarray, seen: Iterable[int], more: int, **fields: Any) -> list[int]:
    """The rows that DiverseEvol adds to those seen."""
    before = set(seen)
    op = Kcenter(keep=Count(rows=more), by=PLACE, variant="diverseevol", chosen=column("seen"), **fields)
    order = picks(op, vectors, seen=[row in before for row in range(len(vectors))])
    return [row for row in order if row not in before]


def instructions() -> np.ndarray:
    return np.load(golden("shared/minilm_instruction_2000.npz"))["emb"]
