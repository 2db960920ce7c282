"""A sweep: rows go through a model in packs, and every want is answered from the one pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl
import torch

from ...compiler.wants import Want
from ...errors import ModelError
from .answers import Reading, fed_lengths, question
from .body import Body, prepared
from .encoders import Encoder, prepared_encoder
from .heads import asked_classifier, prepared_classifier
from .images import asked_eyes, prepared_eyes
from .memory import ran_out, token_budget_from_memory
from .packing import Pack, packs
from .ranks import asked_ranker, prepared_ranker
from .seq2seq import asked_encoder_decoder, prepared_encoder_decoder

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
    Where memory runs out, the token budget is halved. Raises ModelError E440 to E443.
    """
    rows, tokens = 0, 0
    for block in _blocks(_asked(model, sequences, wants), model, sequences, wants, token_budget):
        rows, tokens = rows + len(block.rows), tokens + block.tokens
        if progress:
            progress(rows, tokens)
        yield block


class Asked(Protocol):
    """Answers packs of rows; knows how much of each row it must read."""

    fed: np.ndarray
    share: bool

    def answer(self, pack: Pack) -> Mapping[Want, pl.Series]: ...


@dataclass
class AskedBody:
    """A causal model with a question."""

    body: Body
    sequences: Sequences
    wants: Sequence[Want]
    model: LoadedModel

    def __post_init__(self) -> None:
        self.question = question(self.wants, self.model, self.body.last_layer())
        self.fed = fed_lengths(self.sequences, self.wants)
        self.share = self.body.packed

    def answer(self, pack: Pack) -> Mapping[Want, pl.Series]:
        states, slots = self.body.run(pack, frozenset(self.question.layers.values()))
        return Reading(self.sequences, pack, self.question, self.body.head, states, slots).answers()


@dataclass
class AskedEncoder:
    """A sentence encoder, asked for its vectors."""

    encoder: Encoder
    fed: np.ndarray
    wants: Sequence[Want]
    share: bool = False

    def answer(self, pack: Pack) -> Mapping[Want, pl.Series]:
        found = self.encoder.vectors(pack)
        return dict.fromkeys(self.wants, found)


def _asked(model: LoadedModel, sequences: Sequences, wants: Sequence[Want]) -> Asked:
    match model.card.kind:
        case "encoder":
            return AskedEncoder(prepared_encoder(model, wants), sequences.lengths, wants)
        case "classifier":
            return asked_classifier(model, sequences, wants)
        case "seq2seq":
            return asked_encoder_decoder(model, sequences, wants)
        case "ranker":
            return asked_ranker(model, sequences, wants)
        case "vision":
            return asked_eyes(model, sequences, wants)
        case _:
            return AskedBody(prepared(model), sequences, wants, model)


def prepared_engine(model: LoadedModel) -> object:
    """What runs the model, made at its first use; as a text it says how."""
    match model.card.kind:
        case "encoder":
            return prepared_encoder(model, ())
        case "classifier":
            return prepared_classifier(model)
        case "seq2seq":
            return prepared_encoder_decoder(model)
        case "ranker":
            return prepared_ranker(model)
        case "vision":
            return prepared_eyes(model)
        case _:
            return prepared(model)


def _blocks(
    asked: Asked, model: LoadedModel, sequences: Sequences, wants: Sequence[Want], budget: int | None
) -> Iterator[Block]:
    budget = budget or token_budget_from_memory(model)
    left = np.flatnonzero(sequences.lengths > 0)
    while len(left):
        done: list[np.ndarray] = []
        for pack in packs(sequences, left, asked.fed, budget, share=asked.share):
            block = _block(asked, pack)
            if block is None:
                budget = halved(budget, pack.tokens, len(pack.rows))
                break
            done.append(pack.rows)
            yield block
        left = np.setdiff1d(left, np.concatenate(done)) if done else left


def _block(asked: Asked, pack: Pack) -> Block | None:
    """The answers to one pack; `None` where memory ran out."""
    started = time.perf_counter()
    try:
        with torch.inference_mode():
            answers = asked.answer(pack)
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
