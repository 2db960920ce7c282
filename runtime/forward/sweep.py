"""A sweep: rows go through a model in packs, and every want is answered from the one pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch

from ...compiler.wants import Want
from ...errors import ModelError
from .engine import Asked
from .kinds import asked
from .memory import ran_out, token_budget_from_memory
from .packing import Pack, packs

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences

Progress = Callable[[int, int], None]
"""Told after every block: rows and tokens so far."""


@dataclass(frozen=True, slots=True)
class Block:
    """Answers to every want for some rows."""

    rows: np.ndarray
    """Indices into the sequences, int64."""
    answers: Mapping[Want, pl.Series]
    """As `wants.py` documents them; null where a row has no token that they are about."""
    tokens: int
    """Tokens that went through the model."""
    seconds: float = field(compare=False)


def sweep(
    model: LoadedModel,
    sequences: Sequences,
    wants: Sequence[Want],
    *,
    token_budget: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Block]:
    """The answers to all wants, long rows first; every row without a problem is in exactly one block.

    In float32 an answer differs by at most 7e-6 nats from that of a row run alone, whatever it is packed with.
    Where memory runs out, the token budget is halved. Raises ModelError E436 and E440 to E443.
    """
    rows, tokens = 0, 0
    check_tokens(model, sequences)
    question = asked(model, sequences, wants)
    for block in _blocks(question, sequences, token_budget or token_budget_from_memory(model)):
        block = numbers_alone(block, sequences, model.dtype)
        rows, tokens = rows + len(block.rows), tokens + block.tokens
        if progress:
            progress(rows, tokens)
        yield block


def check_tokens(model: LoadedModel, sequences: Sequences) -> None:
    """Raises ModelError E436 where a row holds a token that the model has no embedding of."""
    known, greatest = model.card.vocabulary, int(sequences.ids.max(initial=-1))
    if known is not None and greatest >= known:
        raise ModelError(
            "E436", f"the tokenizer of `{model.label}` writes token {greatest:,}, and the model knows {known:,}",
            help="copy the tokenizer that the model was trained with into its folder",
        )  # fmt: skip


def numbers_alone(block: Block, sequences: Sequences, dtype: str) -> Block:
    """The block without the answers to rows of which the model says something that is no finite number."""
    broken = np.zeros(len(block.rows), dtype=bool)
    for answer in block.answers.values():
        broken |= not_finite(answer)
    if not broken.any():
        return block
    sequences.late.update(
        dict.fromkeys(block.rows[broken].tolist(), f"the model's numbers are not finite in {dtype}")
    )
    fine = pl.Series(~broken)
    answers = {
        want: pl.select(pl.when(fine).then(answer).alias("answer")).to_series()
        for want, answer in block.answers.items()
    }
    return replace(block, answers=answers)


def not_finite(answer: pl.Series) -> np.ndarray:
    """Whether a row's answer holds a number that is infinite or none."""
    flat = answer.explode() if answer.dtype.is_nested() else answer
    if not flat.dtype.is_float() or flat.is_finite().all():
        return np.zeros(len(answer), dtype=bool)
    every = (
        answer.cast(pl.List(pl.Float32))
        if answer.dtype.is_nested()
        else answer.reshape((-1, 1)).arr.to_list()
    )
    return (~every.list.eval(pl.element().is_finite()).list.all().fill_null(True)).to_numpy()


def _blocks(question: Asked, sequences: Sequences, budget: int) -> Iterator[Block]:
    left = np.flatnonzero(sequences.lengths > 0)
    while len(left):
        done: list[np.ndarray] = []
        for pack in _packs(question, sequences, left, 1 if question.alone else budget):
            block = _block(question, pack)
            if block is None:
                budget = halved(budget, pack.tokens, len(pack.rows))
                break
            done.append(pack.rows)
            yield block
        left = np.setdiff1d(left, np.concatenate(done)) if done else left


def _packs(question: Asked, sequences: Sequences, left: np.ndarray, budget: int) -> Iterator[Pack]:
    """The rows in packs, those on both sides of the bend apart."""
    beyond = sequences.lengths > question.bend
    fed = np.where(beyond, sequences.lengths, question.fed)
    for rows in (left[beyond[left]], left[~beyond[left]]):
        if len(rows):
            yield from packs(sequences, rows, fed, budget, share=question.share)


def _block(question: Asked, pack: Pack) -> Block | None:
    """The answers to one pack; `None` where memory ran out."""
    started = time.perf_counter()
    try:
        with torch.inference_mode():
            answers = question.answer(pack)
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
    else:
        return Block(pack.rows, answers, pack.tokens, time.perf_counter() - started)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def halved(budget: int, tokens: int, rows: int) -> int:
    """Half of what did not fit. Raises ModelError E441 where that was one row."""
    if rows == 1:
        raise ModelError(
            "E441", f"a row of {tokens:,} tokens does not fit into memory",
            help=("allow shorter rows with `max_tokens`", "or use a device with more memory: `--device cuda`"),
        )  # fmt: skip
    return max(1, min(budget, tokens) // 2)
