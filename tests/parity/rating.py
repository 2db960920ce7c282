"""Ratings read from the distribution over digits: SelectIT and DEITA's scorers."""

from __future__ import annotations

import json
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

import selrun

from .claim import Compared, beside, claim, golden

ONE, SEVERAL = "golden/selectit_{level}_tiny-llama.json", "golden/selectit_model_tiny-llama+tiny-gpt2.json"
SCORER = "golden/deita_scorer.json"


def column(step: str, rows: list[dict[str, Any]], **models: str) -> list[float | None]:
    """What `score STEP` gives the rows."""
    targets = {name: str(beside(f"models/{model}")) for name, model in models.items()}
    run = selrun.run(f"score {step} as value", rows, models=targets, store=store().name, device="cpu")
    return run.rows["value"].to_list()


@cache
def store() -> TemporaryDirectory[str]:
    """One for all claims, for they read the same passes."""
    return TemporaryDirectory()


@cache
def told(name: str) -> dict[str, Any]:
    return json.loads(golden(name).read_text())


def alpaca(file: str, first: int, count: int) -> list[dict[str, Any]]:
    rows = json.loads(beside(file).read_text())[first : first + count]
    return [{name: row[name] for name in ("instruction", "input", "output")} for row in rows]


def rated(name: str, field: str, step: str, given: str = "", **models: str) -> Compared:
    """SelectIT's scores of the rows that a file shows."""
    file, theirs = told(name)["input"], told(name)["fields"][field]
    rows = alpaca(file["file"], file["rows"][0], len(theirs))
    settings = ", ".join(filter(None, ("faithful = true", given)))
    ours = column(f"{step} with {settings}", rows, **models)
    return Compared(ours, theirs, column(step, rows, **models))


@claim("selectit(token)", source=ONE.format(level="token"), tolerance=1e-5)
def token_level() -> Compared:
    name = "selectit_token_tiny-llama.json"
    return rated(name, "token_score", "selectit(token) using m", m="tiny-llama")


@claim("selectit", source=ONE.format(level="sentence"), tolerance=1e-5)
def sentence_level() -> Compared:
    name = "selectit_sentence_tiny-llama.json"
    return rated(name, "sentence_score", "selectit using m", m="tiny-llama")


@claim("selectit of two models", source=SEVERAL, tolerance=1e-5)
def two_models() -> Compared:
    name = "selectit_model_tiny-llama+tiny-gpt2.json"
    field = "two_model_ref_weights 7/20,13/20"
    return rated(name, field, "selectit using [a, b]", a="tiny-llama", b="tiny-gpt2")


@claim("selectit of three models", source=SEVERAL, tolerance=1e-5)
def three_models() -> Compared:
    name = "selectit_model_tiny-llama+tiny-gpt2.json"
    field = "verbatim_three_models [tiny-llama,tiny-gpt2,tiny-llama] weights 7/20,13/20,70/90"
    file, theirs = told(name)["input"], told(name)["fields"][field]
    rows = alpaca(file["file"], file["rows"][0], len(theirs))
    step = "selectit using [a, b, a] with faithful = true"
    return Compared(column(step, rows, a="tiny-llama", b="tiny-gpt2"), theirs)


@claim("selectit, weights of the paper", source=SEVERAL, tolerance=1e-5)
def weights_of_the_paper() -> Compared:
    """The authors' scores of each model, weighted by the models' own numbers of parameters."""
    name = "selectit_model_tiny-llama+tiny-gpt2.json"
    counts = told(name)["settings"]["param_counts"]
    given = f"weights = [{counts['tiny-llama']}, {counts['tiny-gpt2']}]"
    field = "two_model_paper_weights params/sum(params)"
    return rated(name, field, "selectit using [a, b]", given, a="tiny-llama", b="tiny-gpt2")


def scored(noun: str, field: str) -> Compared:
    """One of DEITA's scores of the rows of one turn."""
    expected = told("deita_scorer.json")["fields"]["rows"]
    rows = [{"instruction": row["instruction"], "output": row["response"]} for row in expected]
    ours = column(f"{noun} using m with faithful = true", rows, m="tiny-llama")
    theirs = [row[field]["score"] for row in expected]
    return Compared(ours, theirs, column(f"{noun} using m", rows, m="tiny-llama"))


@claim("deita_complexity", source=SCORER, tolerance=1e-5)
def complexity() -> Compared:
    return scored("deita_complexity", "complexity")


@claim("deita_quality", source=SCORER, tolerance=1e-5)
def quality() -> Compared:
    return scored("deita_quality", "quality")


@claim("deita of several turns", source=SCORER, tolerance=1e-5)
def several_turns() -> Compared:
    """Sums over turns of complexity, of quality, and of their product."""
    expected = told("deita_scorer.json")["fields"]["multi_turn"]
    rows = [{"conversations": row["conversations"]} for row in expected]
    with_faithful = "with faithful = true"
    ours = [
        column(f"deita_complexity using m {with_faithful}", rows, m="tiny-llama"),
        column(f"deita_quality using m {with_faithful}", rows, m="tiny-llama"),
        column(f"deita using [m, m] {with_faithful}", rows, m="tiny-llama"),
    ]
    theirs = [
        [sum(row["complexity_scores"]) for row in expected],
        [sum(row["quality_scores"]) for row in expected],
        [row["final_score"] for row in expected],
    ]
    return Compared(ours, theirs)
