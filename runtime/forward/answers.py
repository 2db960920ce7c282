"""From hidden states to the answers of wants, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import log
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import torch
from torch import Tensor

from ...compiler.wants import (
    Along,
    Entropies,
    Hidden,
    Logprobs,
    NextToken,
    Pool,
    RelativeEntropies,
    Span,
    Tokens,
    TopTwo,
    Want,
)
from ...errors import ModelError
from ..tokens import Texts
from .head import Head, Measure, candidates, measured
from .packing import Pack

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences


@dataclass(frozen=True, slots=True)
class Question:
    """What is wanted of a causal model, with everything that needs looking up looked up."""

    wants: tuple[Want, ...]
    layers: dict[int, int]
    """Hidden layers as wants name them: counted from the start, the last as -1."""
    candidates: dict[Want, np.ndarray]


def question(wants: Sequence[Want], model: LoadedModel, last_layer: int) -> Question:
    """The question that the wants make. Raises ModelError E440 and E442."""
    layers = {-1: -1}
    ids: dict[Want, np.ndarray] = {}
    for want in wants:
        match want:
            case Hidden():
                layers[want.layer] = canonical_layer(want.layer, last_layer)
            case NextToken():
                ids[want] = single_tokens(want.candidates, model)
            case _:
                pass
    return Question(tuple(wants), layers, ids)


def canonical_layer(layer: int, last: int) -> int:
    """The layer counted from the start, the last one as -1."""
    counted = layer if layer >= 0 else layer + last + 1
    if not 0 <= counted <= last:
        raise ModelError(
            "E442", f"the model has no layer {layer}: it has {last}",
            help=f"name a layer from 0 (the embedding) to {last}, or -1 for the last",
        )  # fmt: skip
    return -1 if counted == last else counted


def single_tokens(texts: Sequence[str], model: LoadedModel) -> np.ndarray:
    """The one id of every candidate."""
    encoded = Texts(model.tokenizer).continued(texts)
    for text, ids in zip(texts, encoded, strict=True):
        if len(ids) != 1:
            raise ModelError(
                "E440", f"{text!r} is {len(ids)} tokens of `{model.label}`, not one",
                help="name candidates that the tokenizer writes as one token each, such as 1 and 5 or A and B",
            )  # fmt: skip
    return np.array([ids[0] for ids in encoded])


def fed_lengths(sequences: Sequences, wants: Sequence[Want]) -> np.ndarray:
    """How many leading tokens of each row the model must read: none after the last that is needed."""
    fed = np.zeros(len(sequences), dtype=np.int64)
    for want in wants:
        match want:
            case Logprobs() | Entropies() | RelativeEntropies() | TopTwo():
                needed = np.maximum(last_of(sequences, want.span) - 1, 0)
            case Hidden():
                needed = last_of(sequences, want.span)
            case Tokens():
                continue
            case _:
                needed = sequences.lengths
        fed = np.maximum(fed, needed)
    return fed


def last_of(sequences: Sequences, span: Span) -> np.ndarray:
    """Per row, one past the last token of the span."""
    if span == "whole":
        return sequences.lengths
    inside = np.flatnonzero(_inside(sequences.response, span))
    row = np.searchsorted(sequences.offsets, inside, side="right") - 1
    ends = np.zeros(len(sequences), dtype=np.int64)
    ends[row] = inside + 1 - sequences.offsets[row]  # the last write of a row wins, and it is the largest
    return ends


def _inside(response: np.ndarray, span: Span) -> np.ndarray:
    if span == "whole":
        return np.ones(len(response), dtype=bool)
    return response if span == "response" else ~response


@dataclass
class Reading:
    """One pack before its forward pass, and after it with the states."""

    sequences: Sequences
    pack: Pack
    question: Question
    head: Head
    slots: Sequence[np.ndarray]
    """Of each row, where its tokens lie among the states."""
    states: Mapping[int, Tensor] = field(default_factory=dict)

    @property
    def asked(self) -> np.ndarray | None:
        """The slots whose last states are read; `None` for all."""
        kinds = {type(want) for want in self.question.wants}
        if Hidden in kinds:
            return None
        last = [part[-1] for part in self.slots] if NextToken in kinds else []
        return np.unique(np.concatenate([self.asking[1], np.array(last, dtype=np.int64)]))

    def answers(self) -> dict[Want, pl.Series]:
        """Every want's answers, one per row of the pack."""
        return {want: self.answer(want) for want in self.question.wants}

    def answer(self, want: Want) -> pl.Series:
        match want:
            case Logprobs() | Entropies() | TopTwo():
                return self.along(self.known[measure_of(want)], want.span)
            case RelativeEntropies():
                return self.along(self.known["entropies"] / log(self.head.vocabulary), want.span)
            case Hidden():
                return self.pooled(want)
            case Tokens():
                return self.sequences.counts(want.span)[self.pack.rows]
            case _:
                return vectors(self.next_tokens(want))

    @cached_property
    def lengths(self) -> np.ndarray:
        return self.sequences.lengths[self.pack.rows]

    @cached_property
    def ids(self) -> np.ndarray:
        """Ids of all rows of the pack, one row after another."""
        return self.sequences.ids[self.tokens]

    @cached_property
    def tokens(self) -> np.ndarray:
        starts = self.sequences.offsets[self.pack.rows]
        return np.repeat(starts - self.begins, self.lengths) + np.arange(self.lengths.sum())

    @cached_property
    def begins(self) -> np.ndarray:
        return np.cumsum(self.lengths) - self.lengths

    def predicted(self, span: Span) -> np.ndarray:
        """The tokens of the span that have a token before them, as a mask over `ids`."""
        mask = _inside(self.sequences.response[self.tokens], span).copy()
        mask[self.begins[self.lengths > 0]] = False
        return mask

    @cached_property
    def known(self) -> dict[Measure, np.ndarray]:
        """Every measure that a want needs, over `ids`, wherever some want needs one."""
        at, slots, targets, back = self.asking
        device = self.states[-1].device
        hidden = self.states[-1][torch.from_numpy(slots).to(device)]
        measures: set[Measure] = {measure_of(want) for want in self.question.wants if isinstance(want, Along)}
        found = measured(self.head, hidden, torch.from_numpy(targets).to(device), measures)
        return {measure: self._over(at, values.cpu().numpy()[back]) for measure, values in found.items()}

    @cached_property
    def asking(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Which of `ids` are measured; the slots asked and the tokens asked about; and which of these each is."""
        masks = [self.predicted(want.span) for want in self.question.wants if isinstance(want, Along)]
        at = np.flatnonzero(np.logical_or.reduce([np.zeros(len(self.ids), dtype=bool), *masks]))
        # Rows that share their beginning ask the same there; each question is put once.
        asked, back = np.unique(self.before[at] * (1 << 32) + self.ids[at], return_inverse=True)
        return at, asked >> 32, asked & 0xFFFFFFFF, back

    def _over(self, at: np.ndarray, values: np.ndarray) -> np.ndarray:
        over = np.full((len(self.ids), *values.shape[1:]), np.nan, dtype=np.float32)
        over[at] = values
        return over

    @cached_property
    def before(self) -> np.ndarray:
        """For each token, the slot of the token before it; -1 for a row's first and where none was fed."""
        slots = np.full(len(self.ids), -1, dtype=np.int64)
        for begin, length, part in zip(self.begins.tolist(), self.lengths.tolist(), self.slots, strict=True):
            known = part[: length - 1]
            slots[begin + 1 : begin + 1 + len(known)] = known
        return slots

    def along(self, values: np.ndarray, span: Span) -> pl.Series:
        """The values of the span's tokens, a list per row."""
        mask = self.predicted(span)
        counts = np.add.reduceat(np.append(mask, False), self.begins) * (self.lengths > 0)
        each = int(np.prod(values.shape[1:]))
        return lists(values[mask].reshape(-1), counts * each)

    def pooled(self, want: Hidden) -> pl.Series:
        states = self.states[self.question.layers[want.layer]]
        inside = _inside(self.sequences.response[self.tokens], want.span)
        rows = []
        for begin, length, part in zip(self.begins.tolist(), self.lengths.tolist(), self.slots, strict=True):
            chosen = torch.from_numpy(part[np.flatnonzero(inside[begin : begin + length])]).to(states.device)
            rows.append(pool(states[chosen].float(), want.pool) if len(chosen) else None)
        return maybe_vectors(rows, states.shape[-1])

    def next_tokens(self, want: Want) -> np.ndarray:
        states, last = self.states[-1], np.array([part[-1] for part in self.slots])
        ids = torch.from_numpy(self.question.candidates[want]).to(states.device)
        return candidates(self.head, states[torch.from_numpy(last).to(states.device)], ids).cpu().numpy()


def measure_of(want: Along) -> Measure:
    """The measure that answers a want."""
    match want:
        case Logprobs():
            return "padded" if want.padded else "logprobs"
        case Entropies() | RelativeEntropies():
            return "entropies"
        case TopTwo():
            return "likeliest"


def pool(states: Tensor, how: Pool) -> Tensor:
    """One vector of `[tokens, size]` states."""
    match how:
        case "mean":
            return states.mean(0)
        case "last":
            return states[-1]
        case "first":
            return states[0]
        case "position":
            weights = torch.arange(1, len(states) + 1, device=states.device, dtype=torch.float32)
            return (weights / weights.sum()) @ states


def lists(values: np.ndarray | pl.Series, counts: np.ndarray) -> pl.Series:
    """`List(Float32)`: so many of the values for each row, in order."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    numbers = values.to_arrow() if isinstance(values, pl.Series) else pa.array(values.astype(np.float32))
    array = pa.LargeListArray.from_arrays(pa.array(offsets), numbers)
    return pl.Series("answer", array)


def vectors(rows: np.ndarray) -> pl.Series:
    """`List(Float32)` of equally many numbers for each row."""
    return lists(rows.reshape(-1), np.full(len(rows), rows.shape[1]))


def maybe_vectors(rows: Sequence[Tensor | None], size: int) -> pl.Series:
    """`Array(Float32, size)`; null where a row has none."""
    filled = np.zeros((len(rows), size), dtype=np.float32)
    for at, row in enumerate(rows):
        if row is not None:
            filled[at] = row.cpu().numpy()
    missing = pa.array([row is None for row in rows])
    array = pa.FixedSizeListArray.from_arrays(pa.array(filled.reshape(-1)), size, mask=missing)
    return pl.Series("answer", array)
