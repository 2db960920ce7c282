"""A transformer on packed rows: the ways to run it, and the first of them that gives its own results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models import RESERVED_POSITIONS
from . import attention
from .layouts import layout_of, takes_one_call
from .packing import Pack, pack

TRIAL_LENGTHS = (12, 9, 7)
TRIAL_PREFIX = 4
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-6}
"""Norm of the difference of two right results, as a share of their own; other dtypes 0.08."""
REFUSALS = (
    attention.UnknownAttention,
    RuntimeError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    KeyError,
)
"""What a transformer raises that cannot be run on packed rows."""


@dataclass(frozen=True, slots=True)
class Way:
    """How packed rows go through a transformer."""

    device: str
    causal: bool
    one_call: bool = False
    """All segments attend in one variable-length call, as CUDA does it."""

    def run(self, network: Any, pack: Pack, *, layers: bool = False) -> Any:
        """What the transformer gives for the tokens of a pack; every layer's states where `layers`."""
        layout = layout_of(pack.segments, self.device, causal=self.causal, one_call=self.one_call)
        ids, positions = (
            torch.from_numpy(part)[None].to(self.device, non_blocking=True)
            for part in (pack.ids, pack.positions + first_position(network.config))
        )
        # With a cache, transformers takes reset positions for one long row, without a word.
        alone = {"use_cache": False} if self.causal else {}
        with attention.laid_out(layout):
            return network(input_ids=ids, position_ids=positions, output_hidden_states=layers, **alone)


def first_position(config: Any) -> int:
    """The place of a row's first token: RoBERTa's kin begin after the padding token's."""
    return int(config.pad_token_id) + 1 if config.model_type in RESERVED_POSITIONS else 0


def ways(network: Any, device: str, *, causal: bool) -> Iterator[Way]:
    """The ways to run a network on a device, the quickest first."""
    if takes_one_call(device, network.dtype):
        yield Way(device, causal, one_call=True)
    yield Way(device, causal)


Results = Callable[[Way, Pack], Iterable[Tensor]]
"""What a model gives for each row of a pack."""


def right_way(
    network: Any, ways: Iterable[Way], results: Results, trial: Sequence[np.ndarray], own: Sequence[Tensor]
) -> Way | None:
    """The first way that gives the trial rows the model's own results.

    The network takes packed rows from here on, unless there is no such way.
    """
    before = network.config._attn_implementation
    if takes_packed(network):
        for way in ways:
            if gives(way, results, trial, own):
                return way
    network.set_attn_implementation(before)
    return None


def takes_packed(network: Any) -> bool:
    """Whether the model takes another attention; it has it from here on."""
    attention.register()
    try:
        network.set_attn_implementation(attention.NAME)
    except REFUSALS:
        return False
    return network.config._attn_implementation == attention.NAME


def gives(way: Way, results: Results, trial: Sequence[np.ndarray], own: Sequence[Tensor]) -> bool:
    """Whether packed rows, and of a causal model those behind a shared beginning, have the results."""
    packs = [laid(trial), *([laid(trial, TRIAL_PREFIX)] if way.causal else [])]
    try:
        found = [list(results(way, each)) for each in packs]
    except REFUSALS:
        return False
    return all(near(ours, theirs) for rows in found for ours, theirs in zip(rows, own, strict=True))


def trial_rows(vocabulary: int) -> list[np.ndarray]:
    """Three rows that begin alike."""
    draws = np.random.Generator(np.random.PCG64(0))
    rows = [draws.integers(0, vocabulary, length, dtype=np.int64) for length in TRIAL_LENGTHS]
    for row in rows:
        row[:TRIAL_PREFIX] = rows[0][:TRIAL_PREFIX]
    return rows


def laid(rows: Sequence[np.ndarray], prefix: int = 0) -> Pack:
    """Rows of their own as a pack."""
    lengths = np.array([len(row) for row in rows])
    alone: Any = SimpleNamespace(ids=np.concatenate(rows), offsets=np.concatenate([[0], np.cumsum(lengths)]))
    return pack(alone, np.arange(len(rows)), lengths, prefix)


def near(ours: Tensor, theirs: Tensor) -> bool:
    """Whether two results are equal but for rounding."""
    difference = (ours.float() - theirs.float()).norm()
    return bool(difference <= TOLERANCE.get(theirs.dtype, 0.08) * theirs.float().norm() + 1e-6)
