"""The layout of a packed row, for the kernels of its device."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import groupby

import numpy as np
import torch

from .attention import Behind, Filled, Layout, Side, Variable
from .packing import Segment


def layout_of(
    segments: Sequence[Segment], device: str, *, causal: bool = True, one_call: bool = False
) -> Layout:
    """How the segments attend: grouped by parent and length, or in one variable-length call."""
    if one_call:
        return Layout((), causal, variable(segments, device))
    if not causal and any(segment.before for segment in segments):
        raise ValueError("only causal attention knows parents")
    grouped = filled if device.startswith("cuda") else behind
    groups: list[Side | Behind | Filled] = []
    for _, same in groupby(segments, lambda segment: (segment.parent, segment.before)):
        family = list(same)
        groups += grouped(family, device) if family[0].before else sides(family)
    return Layout(tuple(groups), causal)


def sides(segments: Sequence[Segment]) -> list[Side]:
    """Neighbours of one length together."""
    runs = [list(same) for _, same in groupby(segments, lambda segment: segment.length)]
    return [Side(run[0].length, run[0].start, len(run)) for run in runs]


def behind(segments: Sequence[Segment], device: str) -> list[Behind]:
    """Neighbours of one parent, for a device on which a call costs next to nothing."""
    return [Behind(segments[0].parent, segments[0].before, tuple(sides(segments)))]


def filled(segments: Sequence[Segment], device: str) -> list[Filled]:
    """Neighbours of one parent by their length, which may differ a little: few calls."""
    return [_filled(list(same), device) for _, same in groupby(segments, _about)]


def _about(segment: Segment) -> int:
    """The length but for an eighth."""
    step = max(segment.length.bit_length() - 3, 0)
    return segment.length >> step << step


def _filled(segments: list[Segment], device: str) -> Filled:
    first, count = segments[0], len(segments)
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
    return Filled(first.before, int(lengths.max()), count, asking, seen, kept, target)


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
