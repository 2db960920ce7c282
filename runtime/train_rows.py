"""Rows as a fine-tune reads them: token ids, and which of them are learnt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .tokens import Sequences

UNLEARNT = -100
"""The label of a token that the loss leaves out."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row: its ids, and which of them are learnt."""

    ids: NDArray[np.int32]
    learnt: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The ids of the tokens that are learnt; `UNLEARNT` elsewhere."""
        return np.where(self.learnt, self.ids, UNLEARNT).astype(np.int64)


class Examples(Dataset[Example]):
    """The rows to train on, in the order they were chosen."""

    def __init__(self, examples: Sequence[Example]):
        self._examples = examples
        self.lengths = np.array([len(example) for example in examples], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, position: int) -> Example:
        return self._examples[position]

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return int(self.lengths.max())

    @property
    def tokens(self) -> int:
        """Tokens of all rows together."""
        return int(self.lengths.sum())


def example(ids: NDArray[np.int32], learnt: NDArray[np.bool_], end: int | None, limit: int | None) -> Example:
    """The row with the end token after its response, unless it has one (chat templates) or was cut there."""
    if end is None or ids[-1] == end or (limit is not None and len(ids) >= limit):
        return Example(ids, learnt)
    return Example(np.append(ids, np.int32(end)), np.append(learnt, True))


def examples_of(sequences: Sequences, end: int | None, limit: int | None) -> tuple[Examples, dict[str, int]]:
    """The rows that have a token to learn, and how many have none, by reason."""
    kept: list[Example] = []
    skipped: Counter[str] = Counter()
    spans = pairwise(sequences.offsets.tolist())
    for (start, stop), problem in zip(spans, sequences.problems, strict=True):
        learnt = sequences.response[start:stop].copy()
        learnt[:1] = False
        if problem is None and learnt.any():
            kept.append(example(sequences.ids[start:stop], learnt, end, limit))
        else:
            skipped[problem or "no response token is left"] += 1
    return Examples(kept), dict(skipped)


def collated(examples: Sequence[Example], pad: int) -> dict[str, Any]:
    """The rows of one pass, padded on the right."""
    shape = len(examples), max(map(len, examples))
    ids, labels = np.full(shape, pad, dtype=np.int64), np.full(shape, UNLEARNT, dtype=np.int64)
    seen = np.zeros(shape, dtype=np.int64)
    for row, one in enumerate(examples):
        ids[row, : len(one)], labels[row, : len(one)], seen[row, : len(one)] = one.ids, one.labels, 1
    parts = {"input_ids": ids, "labels": labels, "attention_mask": seen}
    return {name: torch.from_numpy(part) for name, part in parts.items()}


class Shuffled(Sampler[int]):
    """Another seeded order for every epoch; within one optimiser step long rows come first.

    Which rows make up a step follows from the seed alone. Ordered by length, the rows that share a pass are
    about as long as each other, and a step that needs too much memory fails at its start.
    """

    def __init__(self, lengths: NDArray[np.int64], batch: int, seed: int):
        self._lengths, self._batch, self._seed = lengths, batch, seed
        self._epoch = 0

    def __len__(self) -> int:
        return len(self._lengths)

    def set_epoch(self, epoch: int) -> None:
        """Which epoch's order comes next, counted from 0."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng([self._seed, self._epoch]).permutation(len(self))
        for start in range(0, len(order), self._batch):
            step = order[start : start + self._batch]
            yield from step[np.argsort(-self._lengths[step], kind="stable")].tolist()
