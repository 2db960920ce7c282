"""Rows of tokens through a model, block by block, each as large as the token budget allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from ...compiler.wants import Embedding, Want
from ..models import LoadedModel
from ..tokens import Sequences
from .encoders import embed
from .padded import Padded
from .reading import Reading

TOKEN_BUDGET = 4096


@dataclass(frozen=True)
class Block:
    """The answers of some rows to every want."""

    rows: np.ndarray
    """`[rows]`, int64: indices into the sequences."""
    answers: dict[Want, pl.Series]
    tokens: int
    """How many tokens were run, padding not counted."""
    seconds: float


def sweep(
    model: LoadedModel,
    sequences: Sequences,
    wants: Sequence[Want],
    *,
    token_budget: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Block]:
    """Every row without a problem, in exactly one block, longest rows first."""
    reading = None if model.card.kind == "encoder" else Reading(model, sequences, wants)
    order = longest_first(sequences)
    done = 0
    for rows in cut(order, sequences.lengths, token_budget or TOKEN_BUDGET):
        started = time.perf_counter()
        with torch.inference_mode():
            answers = (
                embed_all(model, sequences, rows, wants) if reading is None else run(model, reading, rows)
            )
        tokens = int(sequences.lengths[rows].sum())
        done += len(rows)
        yield Block(rows, answers, tokens, time.perf_counter() - started)
        if progress:
            progress(done, len(order))


def run(model: LoadedModel, reading: Reading, rows: np.ndarray) -> dict[Want, pl.Series]:
    """The answers of one block of rows to every want of the reading."""
    return reading.answers(Padded(model).states(reading.sequences, rows, reading.layers), rows)


def embed_all(
    model: LoadedModel, sequences: Sequences, rows: np.ndarray, wants: Sequence[Want]
) -> dict[Want, pl.Series]:
    for want in wants:
        if not isinstance(want, Embedding):
            raise TypeError(f"a sentence encoder does not answer {want}")
    vectors = embed(model, sequences, rows)
    return dict.fromkeys(wants, vectors)


def longest_first(sequences: Sequences) -> np.ndarray:
    """The rows that have tokens; rows of equal length stay in their order."""
    fine = np.flatnonzero(sequences.lengths > 0)
    return fine[np.argsort(-sequences.lengths[fine], kind="stable")]


def cut(order: np.ndarray, lengths: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    """Runs of the order whose tokens, padded to the longest row, stay within the budget."""
    start = 0
    while start < len(order):
        count = max(budget // int(lengths[order[start]]), 1)
        yield order[start : start + count]
        start += count
