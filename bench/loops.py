"""Scoring loops of the published kind: one row, one forward pass with labels, full logits, and again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from selrun.compiler.templates import ALPACA
from torch import Tensor

Row = Mapping[str, str]


def losses(model: Any, tokenizer: Any, rows: Sequence[Row], limit: int) -> Tensor:
    """`[rows, 2]`, the mean loss of every response after its prompt, and after the response header alone."""
    return torch.tensor(
        [
            [
                response_loss(model, tokenizer, before, row["output"], limit)
                for before in (prompt(row), ALPACA.header)
            ]
            for row in rows
        ],
        dtype=torch.float64,
    )


def prompt(row: Row) -> str:
    """The row's prompt in Alpaca's template."""
    template = ALPACA.with_input if row.get("input") else ALPACA.without_input
    parts = template.split("{input}")
    return (row.get("input") or "").join(part.replace("{instruction}", row["instruction"]) for part in parts)


def response_loss(model: Any, tokenizer: Any, before: str, response: str, limit: int) -> float:
    """The model's own mean loss of the response, from a batch of one."""
    ids = torch.tensor([tokenizer.encode(before + response)[:limit]])
    labels = ids.clone()
    labels[0, : len(tokenizer.encode(before))] = -100
    with torch.no_grad():
        return float(model(ids, labels=labels).loss)
