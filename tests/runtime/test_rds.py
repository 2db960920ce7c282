"""RDS+ through a whole run gives the choice of a loop over one row at a time."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import selrun
import torch
from recipes import few_rows, written
from selrun.runtime.nano import nano_model, nano_tokenizer


@cache
def network() -> torch.nn.Module:
    return nano_model().eval().model


def vector(row: dict[str, str]) -> np.ndarray:
    """The mean of a row's last hidden states, the token at place t weighing t."""
    asked = f"{row['instruction']}\n{row['input']}" if row["input"] else row["instruction"]
    text = f"<|user|>\n{asked}\n<|assistant|>\n{row['output']}"
    ids = torch.tensor([nano_tokenizer()(text)["input_ids"]])
    with torch.no_grad():
        states = network()(ids).last_hidden_state[0].double().numpy()
    weights = np.arange(1, len(states) + 1)
    mean = weights @ states / weights.sum()
    return mean / np.linalg.norm(mean)


def in_turns(rows: list[dict[str, str]], target: list[dict[str, str]], wanted: int) -> list[int]:
    similarities = np.array([vector(row) for row in target]) @ np.array([vector(row) for row in rows]).T
    order: list[int] = []
    while len(order) < wanted:
        likes = np.argsort(-similarities[len(order) % len(target)], kind="stable")
        order.append(next(int(row) for row in likes if row not in order))
    return order


def test_each_example_takes_in_turn_the_row_most_like_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    every = few_rows(24, 120)
    rows, target = every[:20], every[20:]
    written(target, tmp_path / "target.jsonl")
    recipe = 'diversify rds(12) against "target.jsonl" using nano'
    found = selrun.run(recipe, pl.DataFrame(rows), store=tmp_path / "store").rows
    places = {json.dumps(row["output"]): place for place, row in enumerate(rows)}
    assert [places[json.dumps(output)] for output in found["output"]] == in_turns(rows, target, 12)
