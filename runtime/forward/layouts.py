"""The layout of a packed row, for the kernels of its device."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import groupby

import numpy as np
import torch

from .attention import Behind, Layout, Side, Variable
from .packing import Segment


def layout_of(
    segments: Sequence[Segment], device: str, *, causal: bool = True, one_call: bool = False
) -> Layout:
    """How the segments attend: grouped by length, or in one variable-length call."""
    if one_call:
        return Layout((), causal, variable(segments, device))
    if not causal and any(segment.before for segment in segments):
        raise ValueError("only causal attention is filled up behind a parent")
    return Layout(tuple(group(list(same), device) for _, same in groupby(segments, _shape)), causal)


def _shape(segment: Segment) -> tuple[int, int, int]:
    """What neighbours of one group have in common; behind a parent their lengths may differ a little."""
    if not segment.before:
        return segment.length, 0, 0
    step = max(segment.length.bit_length() - 3, 0)
    return segment.length >> step << step, segment.parent, segment.before


def group(segments: list[Segment], device: str) -> Side | Behind:
    """Neighbours of about one length and one parent."""
    first, count = segments[0], len(segments)
    if not first.before:
        return Side(first.length, first.start, count)
    lengths = np.array([segment.length for segment in segments])
    starts = np.array([segment.start for segment in segments])
    place = np.arange(lengths.max())
    own = starts[:, None] + np.minimum(place, lengths[:, None] - 1)
    parent = np.broadcast_to(first.parent + np.arange(first.before), (count, first.before))
    real = (place < lengths[:, None]).reshape(-1)
    asking, seen = own.reshape(-1), np.concatenate([parent, own], axis=1).reshape(-1)
    moved = (torch.from_numpy(part).to(device) for part in (asking, seen, asking[real]))
    kept = None if real.all() else torch.from_numpy(np.flatnonzero(real)).to(device)
    asking, seen, target = moved
    return Behind(first.parent, first.before, int(lengths.max()), count, asking, seen, kept, target)


def variable(segments: Sequence[Segment], device: str) -> Variable:
    """Where segments begin among the queries, and among the keys with their parents' before them."""
    lengths = np.array([segment.length for segment in segments])
    keys = lengths + np.array([segment.before for segment in segments])
    index = None
    if any(segment.before for segment in segments):
        slots = [
            np.concatenate([np.arange(s.parent, s.parent + s.before), np.arange(s.start, s.start + s.length)])
            for s in segments
        ]
        index = torch.from_numpy(np.concatenate(slots)).to(device)
    return Variable(
        _starts(lengths, device), _starts(keys, device), int(lengths.max()), int(keys.max()), index
    )


def _starts(lengths: np.ndarray, device: str) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)).to(device)


def takes_one_call(device: str, dtype: torch.dtype) -> bool:
    """Whether torch has variable-length attention for numbers of this kind there."""
    half = dtype in (torch.float16, torch.bfloat16)
    return device.startswith("cuda") and half and find_spec("torch.nn.attention.varlen") is not None
