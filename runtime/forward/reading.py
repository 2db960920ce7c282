"""From hidden states to answers: which positions are wanted, what the head says there, and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import polars as pl
import torch

from ...compiler.wants import Entropies, Hidden, Logprobs, NextToken, Span, Want
from ...errors import ModelError
from ..models import LoadedModel
from ..tokens import Sequences, Texts
from .heads import Head
from .padded import LAST, tokens_of

States = dict[int, torch.Tensor]
"""Hidden states by layer, `[tokens, d]`."""


class Reading:
    """What several wants read of the same rows."""

    def __init__(self, model: LoadedModel, sequences: Sequences, wants: Sequence[Want]):
        for want in wants:
            if not isinstance(want, Logprobs | Entropies | Hidden | NextToken):
                raise TypeError(f"a causal language model does not answer {want} in a forward pass")
        self.model, self.sequences, self.wants = model, sequences, tuple(wants)
        self.head = Head(model)
        self.candidates = {w: candidate_ids(model, w) for w in wants if isinstance(w, NextToken)}

    @cached_property
    def layers(self) -> tuple[int, ...]:
        return tuple({want.layer for want in self.wants if isinstance(want, Hidden)})

    @cached_property
    def position(self) -> np.ndarray:
        """`[tokens]`: where each token stands in its row."""
        return np.arange(len(self.sequences.ids)) - np.repeat(
            self.sequences.offsets[:-1], self.sequences.lengths
        )

    def spanned(self, span: Span) -> np.ndarray:
        """`[tokens]`: whether a token belongs to the span."""
        response = self.sequences.response
        return {"response": response, "prompt": ~response, "whole": np.ones_like(response)}[span]

    def answers(self, states: States, rows: np.ndarray) -> dict[Want, pl.Series]:
        """The answers of the rows, from the hidden states of their tokens laid one after another."""
        said = Said(self, states[LAST], rows)
        return {want: self.answer(want, said, states, rows) for want in self.wants}

    def answer(self, want: Want, said: Said, states: States, rows: np.ndarray) -> pl.Series:
        match want:
            case Logprobs():
                return said.listed(want.span, said.logprobs)
            case Entropies():
                return said.listed(want.span, said.entropies)
            case NextToken():
                return said.next(self.candidates[want])
            case Hidden():
                return pooled(states[want.layer], want, self.spanned(want.span)[said.tokens], said.lengths)
            case _:
                raise TypeError(f"{want} is not read from a forward pass")


def candidate_ids(model: LoadedModel, want: NextToken) -> list[int]:
    """The token of every candidate; raises ModelError E440 for one that is not a single token."""
    encoded = Texts(model.tokenizer).continued(want.candidates)
    for candidate, ids in zip(want.candidates, encoded, strict=True):
        if len(ids) != 1:
            raise ModelError(
                "E440",
                f"{candidate!r} is {len(ids)} tokens of `{model.label}`, not one",
                help="name candidates that the tokenizer writes as one token each, such as 1 and 5 or A and B",
            )
    return [ids[0] for ids in encoded]


class Said:
    """What the head says of one block of rows, at the union of the wanted positions only."""

    def __init__(self, reading: Reading, states: torch.Tensor, rows: np.ndarray):
        self.reading, self.states = reading, states
        self.tokens = tokens_of(reading.sequences, rows)
        self.lengths = reading.sequences.lengths[rows]
        self.ends = np.cumsum(self.lengths) - 1

    @cached_property
    def follows(self) -> np.ndarray:
        """`[tokens]`: whether a token has one before it."""
        return self.reading.position[self.tokens] > 0

    def targets(self, span: Span) -> np.ndarray:
        """Which tokens of the block the span asks about."""
        return self.reading.spanned(span)[self.tokens] & self.follows

    @cached_property
    def places(self) -> np.ndarray:
        """Where the head is read: before every wanted token and at the end of a row that is continued."""
        wanted = np.zeros(len(self.tokens) + 1, dtype=bool)
        for want in self.reading.wants:
            if isinstance(want, Logprobs | Entropies):
                wanted[:-1] |= self.targets(want.span)
        before = wanted[1:]
        if self.reading.candidates:
            before[self.ends] = True
        return np.flatnonzero(before)

    @cached_property
    def heard(self) -> dict[str, np.ndarray]:
        """By quantity, one value (or one row of candidates) per place."""
        wants = self.reading.wants
        following = np.append(self.reading.sequences.ids[self.tokens], 0)[self.places + 1]
        return self.reading.head.read(
            self.states,
            self.places,
            following,
            logprobs=any(isinstance(w, Logprobs) for w in wants),
            entropies=any(isinstance(w, Entropies) for w in wants),
            candidates=[token for ids in self.reading.candidates.values() for token in ids],
        )

    @property
    def logprobs(self) -> np.ndarray:
        return self.heard["logprobs"]

    @property
    def entropies(self) -> np.ndarray:
        return self.heard["entropies"]

    def listed(self, span: Span, values: np.ndarray) -> pl.Series:
        """The values at the places before the span's tokens, one list a row."""
        targets = self.targets(span)
        chosen = values[np.searchsorted(self.places, np.flatnonzero(targets) - 1)]
        counts = np.add.reduceat(targets.astype(np.int64), self.ends + 1 - self.lengths)
        return lists(chosen, counts)

    def next(self, candidates: list[int]) -> pl.Series:
        known = [token for ids in self.reading.candidates.values() for token in ids]
        columns = [known.index(token) for token in candidates]
        values = self.heard["candidates"][np.searchsorted(self.places, self.ends)][:, columns]
        return lists(values.ravel(), np.full(len(self.ends), len(candidates)))


def lists(values: np.ndarray, counts: np.ndarray) -> pl.Series:
    """`List(Float32)`: so many of the values in each row."""
    import pyarrow as pa

    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    array = pa.LargeListArray.from_arrays(offsets, pa.array(values.astype(np.float32)))
    return pl.Series("answer", array)


def pooled(states: torch.Tensor, want: Hidden, inside: np.ndarray, lengths: np.ndarray) -> pl.Series:
    """One vector a row over the tokens of the span, in fp32; null where the span is empty."""
    row = np.repeat(np.arange(len(lengths)), lengths)[inside]
    counts = np.bincount(row, minlength=len(lengths))
    weights = pool_weights(want, row, counts)
    vectors = torch.zeros(len(lengths), states.shape[-1], dtype=torch.float32, device=states.device)
    chosen = states[torch.from_numpy(np.flatnonzero(inside)).to(states.device)].float()
    scaled = chosen * torch.from_numpy(weights.astype(np.float32)).to(states.device)[:, None]
    vectors.index_add_(0, torch.from_numpy(row).to(states.device), scaled)
    series = pl.Series("answer", vectors.cpu().numpy())
    return series if counts.all() else where(series, counts > 0)


def pool_weights(want: Hidden, row: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The share of every token of the span in its row's vector."""
    firsts = np.cumsum(counts) - counts
    rank = np.arange(len(row)) - firsts[row]
    match want.pool:
        case "mean":
            return 1.0 / counts[row]
        case "first":
            return (rank == 0).astype(float)
        case "last":
            return (rank == counts[row] - 1).astype(float)
        case "position":
            return (rank + 1) / (counts[row] * (counts[row] + 1) / 2)


def where(series: pl.Series, kept: np.ndarray) -> pl.Series:
    return pl.select(pl.when(pl.Series(kept)).then(series).alias("answer")).to_series()
