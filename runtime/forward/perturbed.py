"""What the prompt changes about a response, in copies of the row whose embeddings are perturbed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ...compiler.wants import Perturbed
from .answers import lists
from .body import LAST, Body
from .head import measured
from .memory import ran_out, token_budget_from_memory
from .packing import Pack, Segment
from .sweep import Block, halved, numbers_alone

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences


@dataclass(frozen=True, slots=True)
class Shown:
    """A row in one view: its tokens, and where its response begins."""

    ids: np.ndarray
    begin: int


@dataclass(frozen=True, slots=True)
class Both:
    """A row with its prompt and without; the first `count` tokens of the response are in both."""

    given: Shown
    alone: Shown
    count: int

    @property
    def predicted(self) -> np.ndarray:
        """Which tokens of the response come after another token in both."""
        return np.arange(max(1 - self.given.begin, 1 - self.alone.begin, 0), self.count)


def shown(view: Sequences, row: int) -> tuple[Shown, int]:
    """A row in a view, and how many tokens its response has there."""
    part = slice(*view.offsets[row : row + 2])
    said = np.flatnonzero(view.response[part])
    return Shown(view.ids[part].astype(np.int64), int(said[0])), len(said)


def both(given: Sequences, alone: Sequences, row: int) -> Both:
    """The row in both views."""
    (beside, most), (by_itself, there) = shown(given, row), shown(alone, row)
    return Both(beside, by_itself, min(most, there))


def perturbed(
    model: LoadedModel,
    given: Sequences,
    alone: Sequences,
    rows: np.ndarray,
    keys: Sequence[str],
    want: Perturbed,
    *,
    token_budget: int | None = None,
) -> Block:
    """The answers for these rows, whose draws follow from their keys. Raises ModelError E441."""
    started = time.perf_counter()
    run = Run(Body.prepared(model), want, token_budget or token_budget_from_memory(model))
    found = [run.changes(both(given, alone, row), key) for row, key in zip(rows, keys, strict=True)]
    values = np.concatenate(found) if found else np.zeros(0, dtype=np.float32)
    answers = lists(values, np.array([len(each) for each in found], dtype=np.int64))
    block = Block(rows, {want: answers}, run.tokens, time.perf_counter() - started)
    return numbers_alone(block, given, model.dtype)


@dataclass
class Run:
    """Copies under way through a model."""

    body: Body
    want: Perturbed
    budget: int
    tokens: int = 0

    def changes(self, row: Both, key: str) -> np.ndarray:
        """`[copies * tokens]` of a row, in as few packs as the budget allows."""
        draws = generator(self.want.seed, key)
        parts, left = [], self.want.copies
        while left:
            count = min(left, max(1, self.budget // len(row.given.ids)))
            parts.append(self.of_copies(row, self.noise(draws, count, len(row.given.ids))))
            left -= count
        return np.concatenate(parts).reshape(-1)

    def noise(self, draws: np.random.Generator, copies: int, tokens: int) -> np.ndarray:
        """`[copies, tokens, size]`"""
        size = self.embedding.weight.shape[-1]
        uniform = draws.random((copies, tokens, size), dtype=np.float32) * 2 - 1
        return uniform * np.float32(self.want.alpha / sqrt(tokens * size))

    def of_copies(self, row: Both, noise: np.ndarray) -> np.ndarray:
        """`[copies, tokens]`; where memory runs out, half of the copies at a time."""
        try:
            with torch.inference_mode():
                given = self.losses(row.given, row.predicted, noise)
                return given - self.losses(row.alone, row.predicted, moved(noise, row))
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
        self.budget = halved(self.budget, noise.shape[0] * noise.shape[1], len(noise))
        return np.concatenate([self.of_copies(row, half) for half in np.array_split(noise, 2)])

    def losses(self, text: Shown, predicted: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """`[copies, tokens]`, the losses of these tokens of the response."""
        pack, places = copied(text.ids, len(noise)), text.begin + predicted
        self.tokens += pack.tokens
        with added(self.embedding, torch.from_numpy(noise).to(self.body.device)):
            states, slots = self.body.run(
                pack, LAST, np.concatenate([slot[places - 1] for slot in pack.slots])
            )
        before = np.concatenate([slot[places - 1] for slot in slots])
        hidden = states[-1][torch.from_numpy(before).to(self.body.device)]
        goals = torch.from_numpy(np.tile(text.ids[places], len(noise))).to(self.body.device)
        logprobs = measured(self.body.head, hidden, goals, ("logprobs",))["logprobs"]
        return -logprobs.cpu().numpy().reshape(len(noise), -1)

    @property
    def embedding(self) -> nn.Embedding:
        return self.body.network.get_input_embeddings()


def generator(seed: int, key: str) -> np.random.Generator:
    """Draws that follow from a seed and a row alone."""
    digest = hashlib.sha256(f"{seed} {key}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))


def moved(noise: np.ndarray, row: Both) -> np.ndarray:
    """The draws of the response's tokens in their places without the prompt; nothing for what else stands there."""
    found = np.zeros((len(noise), len(row.alone.ids), noise.shape[-1]), dtype=noise.dtype)
    given, alone = (slice(text.begin, text.begin + row.count) for text in (row.given, row.alone))
    found[:, alone] = noise[:, given]
    return found


def copied(ids: np.ndarray, copies: int) -> Pack:
    """One row so many times, each seeing itself alone."""
    length, rows = len(ids), np.arange(copies)
    slots = tuple(row * length + np.arange(length) for row in rows)
    segments = tuple(Segment(int(row) * length, length) for row in rows)
    return Pack(rows, np.tile(ids, copies), np.tile(np.arange(length), copies), slots, segments)


@contextmanager
def added(embedding: nn.Module, noise: Tensor) -> Iterator[None]:
    """The embeddings of the copies of a row are perturbed in here."""

    def perturb(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        return output + noise.to(output.dtype).view_as(output)

    handle = embedding.register_forward_hook(perturb)
    try:
        yield
    finally:
        handle.remove()
