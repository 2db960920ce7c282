"""Scorers that read a causal language model's distributions, against the published scripts' outputs."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import selrun
from selrun.stdlib.train.pick import cherry_pick

from .authors import CHERRY, Loops
from .claim import Compared, beside, claim, golden

ODA = "golden/oda_lm_scorers.json"
OWN = "own re-implementation of the script, on nano"
Rows = Sequence[Mapping[str, Any]]
TASKS = Path(__file__).parents[2] / "examples" / "tasks.jsonl"


def table(steps: Iterable[str], rows: Rows, model: str | Path) -> pl.DataFrame:
    """The columns that steps of one model `m` add, named by their places, from united sweeps."""
    recipe = " | ".join(f"{step} as c{place}" for place, step in enumerate(steps))
    with tempfile.TemporaryDirectory() as store:
        run = selrun.run(recipe, list(rows), models={"m": model}, store=store, device="cpu")
    return run.rows.select("^c\\d+$")


def compared(steps: Iterable[str], rows: Rows, model: str | Path) -> Iterator[tuple[list[Any], list[Any]]]:
    """What each step gives, faithful and by default."""
    both = [form for step in steps for form in (step.replace("with ", "with faithful = true, "), step)]
    columns = [column.to_list() for column in table(both, rows, model)]
    yield from zip(columns[::2], columns[1::2], strict=True)


# OpenDataArena

SCORERS = {
    "PPLScorer": "score perplexity using m",
    "NormLossScorer": "score normloss using m",
    "UPDScorer": "score upd using m",
    "IFDScorer": "score ifd(oda) using m",
    "HESScorer": "score hes using m",
    "AskLlmScorer": "score ask_llm using m",
}
MODELS = ("tiny-llama", "tiny-gpt2")


@cache
def oda() -> dict[str, Any]:
    return json.loads(golden("oda_lm_scorers.json").read_text())


@cache
def oda_table(model: str) -> dict[tuple[str, str], tuple[list[Any], list[Any]]]:
    """By scorer and setting what it gives on a model, faithful and by default."""
    runs = [(s, setting) for s in SCORERS for setting in oda()["fields"][s] if setting.startswith(model)]
    steps = []
    for scorer, setting in runs:
        cutoff = setting.partition("/cutoff=")[2]
        steps.append(f"{SCORERS[scorer]} with max_tokens = 1024" + (f", share = {cutoff}" if cutoff else ""))
    rows = [{k: row[k] for k in ("instruction", "input", "output")} for row in oda()["input"]["rows"]]
    return dict(zip(runs, compared(steps, rows, beside(f"models/{model}")), strict=True))


def as_oda(scorer: str, rows: Mapping[str, Sequence[int]] | None = None) -> Compared:
    """One scorer on both tiny models, in all of its settings."""
    ours, theirs, default = [], [], []
    for model in MODELS:
        for (name, setting), (faithful, corrected) in oda_table(model).items():
            if name == scorer:
                result = oda()["fields"][scorer][setting]["result"]
                for row in range(len(result)) if rows is None else rows[model]:
                    ours.append(faithful[row])
                    theirs.append(result[row]["score"])
                    default.append(corrected[row])
    return Compared(ours, theirs, default)


@claim("perplexity", source=ODA, tolerance=1e-5)
def perplexity() -> Compared:
    return as_oda("PPLScorer")


@claim("normloss", source=ODA, tolerance=1e-5)
def normloss() -> Compared:
    return as_oda("NormLossScorer")


@claim("upd", source=ODA, tolerance=1e-5)
def upd() -> Compared:
    return as_oda("UPDScorer")


@claim("ifd(oda)", source=ODA, tolerance=1e-5)
def ifd_in_chatml() -> Compared:
    return as_oda("IFDScorer")


@claim("ask_llm", source=ODA, tolerance=1e-5)
def ask_llm() -> Compared:
    return as_oda("AskLlmScorer")


# The scorer pads on the left and tells the model no positions: GPT-2, which counts them from the padding, gives
# rows other values than they have by themselves. Of each batch of four only the longest row is not padded.
UNPADDED = {"tiny-llama": range(10), "tiny-gpt2": (3, 6, 8)}


@claim("hes", source=ODA, tolerance=1e-5)
def hes() -> Compared:
    return as_oda("HESScorer", UNPADDED)


# Cherry and Superfiltering


def fields(name: str) -> dict[str, Any]:
    return json.loads(golden(name).read_text())["fields"]


@cache
def alpaca(count: int) -> Rows:
    rows = json.loads(beside("data/alpaca_random_5k.json").read_text())[:count]
    return [{name: row[name] for name in ("instruction", "input", "output")} for row in rows]


@claim("ifd(cherry)", source="golden/cherry_ifd_tiny-llama.json", tolerance=1e-5)
def ifd_of_cherry() -> Compared:
    theirs = fields("cherry_ifd_tiny-llama.json")["ifd"]
    steps = ["score ifd using m with max_tokens = 512"]
    ((faithful, corrected),) = compared(steps, alpaca(len(theirs)), beside("models/tiny-llama"))
    return Compared(faithful, theirs, corrected)


@claim("ifd(superfiltering)", source="golden/superfiltering_tiny-gpt2.json", tolerance=1e-5)
def ifd_of_superfiltering() -> Compared:
    theirs = fields("superfiltering_tiny-gpt2.json")["ifd_ppl"]
    steps = ["score ifd(superfiltering) using m with max_tokens = 1024"]
    ((faithful, corrected),) = compared(steps, alpaca(len(theirs)), beside("models/tiny-gpt2"))
    return Compared(faithful, theirs, corrected)


@cache
def pre_experience() -> pl.DataFrame:
    steps = ["score perplexity(prompt) using m with max_tokens = 512", "embed using m"]
    return table(steps, alpaca(96), beside("models/tiny-llama"))


@claim("perplexity(prompt)", source="golden/cherry_pre_tiny-llama.json", tolerance=1e-5)
def perplexity_before_cherrys_training() -> Compared:
    return Compared(pre_experience()["c0"].to_list(), fields("cherry_pre_tiny-llama.json")["ppl_prompt"])


@claim("embed", source="golden/cherry_pre_tiny-llama_emb.npy", tolerance=1e-4)
def vectors_before_cherrys_training() -> Compared:
    return Compared(
        pre_experience()["c1"].to_list(), np.load(golden("cherry_pre_tiny-llama_emb.npy")).tolist()
    )


@claim("model warmup(cherry)", source="golden/cherry_pre_tiny-llama.json")
def rows_that_cherry_trains_on() -> Compared:
    reference = json.loads(golden("cherry_pre_tiny-llama.json").read_text())
    vectors = np.load(golden("cherry_pre_tiny-llama_emb.npy"))
    ours = []
    for settings in reference["cluster_runs"]:
        clusters, wanted, low, high = map(int, re.findall(r"\d+", settings))
        perplexities = reference["fields"]["ppl_prompt"]
        ours.append(
            cherry_pick(
                vectors, perplexities, clusters=clusters, per_cluster=wanted, low=low, high=high, n_init=1
            )
        )
    return Compared(ours, [run["selected"] for run in reference["cluster_runs"].values()])


# On nano, with loops of our own


@cache
def loops() -> Loops:
    from selrun.runtime.models import load_tokenizer
    from selrun.runtime.nano import nano_model

    return Loops(load_tokenizer("nano"), nano_model().eval())


@cache
def tasks() -> list[dict[str, Any]]:
    lines = TASKS.read_text("utf-8").splitlines()[:8]
    return [{"input": "", **json.loads(line), "place": [float(n % 3), 1.0]} for n, line in enumerate(lines)]


@cache
def on_nano() -> list[tuple[list[Any], list[Any]]]:
    steps = (
        "score ifd using m with max_tokens = 512",
        "score ifd(superfiltering) using m with max_tokens = 1024",
        "score sifd using m with max_tokens = 1024",
        "score reverse_ifd using m with max_tokens = 2048",
        "score miwv using m by place with max_tokens = 2048",
    )
    return list(compared(steps, tasks(), "nano"))


def beside_loop(place: int, theirs: Sequence[float | None]) -> Compared:
    faithful, corrected = on_nano()[place]
    return Compared(faithful, theirs, corrected)


@claim("ifd(cherry)", source=OWN, tolerance=1e-5)
def ifd_by_cherrys_loop() -> Compared:
    return beside_loop(0, [loops().cherry(row, CHERRY["alpaca"], 512) for row in tasks()])


@claim("ifd(superfiltering)", source=OWN, tolerance=1e-5)
def ifd_by_superfilterings_loop() -> Compared:
    return beside_loop(1, [loops().superfiltering(row, 1024) for row in tasks()])


@claim("sifd", source=OWN, tolerance=1e-5)
def selective_ifd_by_tshirts_loop() -> Compared:
    return beside_loop(2, loops().selective(tasks(), 0.5, 1024))


@claim("reverse_ifd", source=OWN, tolerance=1e-5)
def reversed_ifd_by_the_reflection_loop() -> Compared:
    return beside_loop(3, [loops().reflection(row, 2048) for row in tasks()])


@claim("miwv", source=OWN, tolerance=1e-5)
def weakness_by_odas_loop() -> Compared:
    """The nearest of rows that lie on three places is the first other one on the same place."""
    rows = tasks()
    nearest = [next(m for m in range(len(rows)) if m != n and m % 3 == n % 3) for n in range(len(rows))]
    return beside_loop(4, [loops().weakness(rows[n], rows[m], 2048) for n, m in enumerate(nearest)])
