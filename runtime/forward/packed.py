"""A transformer on packed rows: the ways to run it, and the first of them that gives its own results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
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
"""Norm of the difference of two right results, as a share of their own."""
HALF = 0.08
"""The same in other dtypes."""
NEIGHBOUR = 0.03
"""The same of a row beside two different ones of equal length: the shapes are the same, but not those that reach
each expert of a mixture."""
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
            for part in (pack.ids, places(pack, network.config))
        )
        # With a cache, transformers takes reset positions for one long row, without a word.
        alone = {"use_cache": False} if self.causal else {}
        with attention.laid_out(layout):
            return network(input_ids=ids, position_ids=positions, output_hidden_states=layers, **alone)


def places(pack: Pack, config: Any) -> np.ndarray:
    """Each token's place in its row; RoBERTa's kin count what is no padding, from behind the padding token's."""
    if config.model_type not in RESERVED_POSITIONS:
        return pack.positions
    kept = pack.ids != config.pad_token_id
    counted, begins = np.cumsum(kept), pack.positions == 0
    before = (counted - kept)[begins][np.cumsum(begins) - 1]
    return (counted - before) * kept + int(config.pad_token_id)


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
    """Whether packed rows, and of a causal model those behind a shared beginning, have their own results."""
    prefixes = (0, TRIAL_PREFIX) if way.causal else (0,)
    beside = [trial[0], *(ids[::-1].copy() for ids in trial[1:-1]), trial[-1]]
    try:
        found = [list(results(way, laid(trial, prefix))) for prefix in prefixes]
        others = list(results(way, laid(beside)))
    except REFUSALS:
        return False
    # In half precision a little of a neighbour would pass for rounding, so that is looked at by itself.
    apart = near(others[-1], found[0][-1], NEIGHBOUR)
    return apart and all(same(rows, own) for rows in found)


def same(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> bool:
    """Whether the results of all rows are equal but for rounding."""
    return all(near(one, other) for one, other in zip(ours, theirs, strict=True))


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


def near(ours: Tensor, theirs: Tensor, half: float = HALF) -> bool:
    """Whether two results are equal but for rounding, of which numbers of 16 bits have up to `half`."""
    difference = (ours.float() - theirs.float()).norm()
    return bool(difference <= TOLERANCE.get(theirs.dtype, half) * theirs.float().norm() + 1e-6)


def bend_of(config: Any) -> float:
    """The length beyond which a LongRoPE model turns all positions of a row otherwise; infinite in other models."""
    known = getattr(config.get_text_config(), "rope_parameters", None) or {}
    scalings = (part for part in (known, *known.values()) if isinstance(part, dict))
    bends = (s["original_max_position_embeddings"] for s in scalings if s.get("rope_type") == "longrope")
    return min(bends, default=inf)
