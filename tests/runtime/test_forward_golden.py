"""Losses and hidden states equal those of the authors' scripts on tiny models, token by token."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from selrun.compiler.templates import ALPACA, BARE
from selrun.compiler.wants import Hidden, Logprobs, View, Want
from selrun.runtime.forward import sweep
from selrun.runtime.models import LoadedModel, load
from selrun.runtime.tokens import encode

GIVEN = View(ALPACA, limit=512, seam="joint", start="tokenizer")
ALONE = View(ALPACA, ("response",), 512, "joint", "tokenizer", 4)


@pytest.fixture(scope="module")
def tiny_llama(shared: Path) -> LoadedModel:
    return load(str(shared / "models/tiny-llama"))


def frame(shared: Path, count: int = 96) -> pl.DataFrame:
    rows = json.loads((shared / "data/alpaca_random_5k.json").read_text("utf-8"))[:count]
    turns = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
    return pl.DataFrame(
        {
            "@instruction": [row["instruction"] for row in rows],
            "@input": [row["input"] for row in rows],
            "@prompt": ["\n".join(filter(None, (row["instruction"], row["input"]))) for row in rows],
            "@response": [row["output"] for row in rows],
        }
    ).with_columns(pl.lit(None, pl.String).alias("@system"), pl.lit(None, turns).alias("@history"))


def golden(shared: Path, name: str) -> dict[str, list[float]]:
    return json.loads((shared / "golden" / f"{name}.json").read_text("utf-8"))["fields"]


def answers(model: LoadedModel, view: View, rows: pl.DataFrame, want: Want) -> list[list[float]]:
    sequences = encode(view, rows, model.tokenizer, model.card.context)
    found: list[list[float]] = [[]] * rows.height
    for block in sweep(model, sequences, [want]):
        for row, answer in zip(block.rows.tolist(), block.answers[want].to_list(), strict=True):
            found[row] = answer
    return found


@pytest.mark.parametrize(("view", "name"), [(GIVEN, "token_loss_cond"), (ALONE, "token_loss_direct")])
def test_every_token_loss_of_cherry(shared: Path, tiny_llama: LoadedModel, view: View, name: str) -> None:
    right = golden(shared, "cherry_ifd_tiny-llama_token_losses")[name]
    found = answers(tiny_llama, view, frame(shared), Logprobs("whole"))
    for ours, theirs in zip(found, right, strict=False):
        np.testing.assert_allclose(-np.array(ours), theirs, rtol=1e-5, atol=1e-5)


def test_the_prompts_of_cherrys_pre_experience(shared: Path, tiny_llama: LoadedModel) -> None:
    view, rows = GIVEN.showing("prompt"), frame(shared)
    means = answers(tiny_llama, view, rows, Hidden(-1, "mean", "prompt"))
    right = np.load(shared / "golden/cherry_pre_tiny-llama_emb.npy")
    np.testing.assert_allclose(np.array(means)[: len(right)], right, rtol=1e-5, atol=1e-5)
    perplexities = golden(shared, "cherry_pre_tiny-llama")["ppl_prompt"]
    found = [np.exp(-np.mean(row)) for row in answers(tiny_llama, view, rows, Logprobs("prompt"))]
    np.testing.assert_allclose(found[: len(perplexities)], perplexities, rtol=1e-5)


def test_the_losses_of_superfiltering(shared: Path) -> None:
    model, rows, right = (
        load(str(shared / "models/tiny-gpt2")), frame(shared), golden(shared, "superfiltering_tiny-gpt2"),
    )  # fmt: skip
    views = {
        "loss_cond": View(BARE, limit=1024, seam="joint", start="tokenizer"),
        "loss_direct": View(BARE, ("response",), 1024, "joint", "tokenizer", 1),
    }
    for name, view in views.items():
        found = [-np.mean(row) if row else np.nan for row in answers(model, view, rows, Logprobs("response"))]
        theirs = np.array(right[name], dtype=float)
        np.testing.assert_allclose(found[: len(theirs)], theirs, rtol=1e-5)
