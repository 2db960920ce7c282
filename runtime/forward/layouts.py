"""The layout of a packed row, for the kernels of its device."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import groupby

import numpy as np
import torch

from .attention import Group, Layout, Variable
from .packing import Segment


def layout_of(
    segments: Sequence[Segment], device: str, *, causal: bool = True, one_call: bool = False
) -> Layout:
    """How the segments attend: grouped by length, or in one variable-length call."""
    if one_call:
        return Layout((), causal, variable(segments, device))
    return Layout(tuple(group(list(same), device) for _, same in groupby(segments, _shape)), causal)


def _shape(segment: Segment) -> tuple[int, int, int]:
    return segment.length, segment.parent, segment.before


def group(segments: list[Segment], device: str) -> Group:
    """Neighbours of one length and one parent."""
    first, count = segments[0], len(segments)
    length = first.before + first.length
    if not first.before:
        return Group(length, length, first.start, count)
    starts = np.array([segment.start for segment in segments])
    own = starts[:, None] + np.arange(first.length)
    parent = np.broadcast_to(first.parent + np.arange(first.before), (count, first.before))
    index = np.concatenate([parent, own], axis=1).reshape(-1)
    return Group(
        length, first.length, first.start, count,
        torch.from_numpy(index).to(device), torch.from_numpy(own.reshape(-1)).to(device),
    )  # fmt: skip


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
