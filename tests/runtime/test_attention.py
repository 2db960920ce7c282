"""Attention of segments behind a parent: what a mask over the whole packed row gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from selrun.runtime.forward import attention, layouts
from selrun.runtime.forward.attention import LONG_PARENT, Behind, Filled, Layout, Side
from selrun.runtime.forward.layouts import behind, filled, layout_of
from selrun.runtime.forward.packing import Segment
from torch import Tensor

LENGTHS = (30, 30, 21, 20, 3, 1)


def family(before: int, start: int = 0) -> list[Segment]:
    """A parent and its children, side by side."""
    found, at = [Segment(start, before)], start + before
    for length in LENGTHS:
        found.append(Segment(at, length, start, before))
        at += length
    return found


def masked(
    segments: Sequence[Segment], query: Tensor, key: Tensor, value: Tensor, window: int | None
) -> Tensor:
    """`[tokens, heads, size]`, by one dense mask."""
    tokens = query.shape[1]
    seen, place = torch.zeros(tokens, tokens, dtype=torch.bool), torch.zeros(tokens, dtype=torch.long)
    for own in segments:
        part = slice(own.start, own.start + own.length)
        seen[part, part] = torch.ones(own.length, own.length).tril().bool()
        seen[part, own.parent : own.parent + own.before] = True
        place[part] = own.before + torch.arange(own.length)
    if window:
        seen &= place[:, None] - place < window
    times = query.shape[0] // key.shape[0]
    key, value = (states.repeat_interleave(times, 0) for states in (key, value))
    return F.scaled_dot_product_attention(query[None], key[None], value[None], attn_mask=seen)[0].transpose(
        0, 1
    )


@pytest.mark.parametrize("window", [None, 25])
@pytest.mark.parametrize("grouped", [behind, filled])
@pytest.mark.parametrize("before", [9, LONG_PARENT])
def test_each_way_to_attend_behind_a_parent_gives_what_a_mask_gives(
    before: int, grouped: Any, window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layouts, "behind", grouped)
    first = family(before)
    segments = first + family(before + 3, first[-1].start + first[-1].length)
    tokens = segments[-1].start + segments[-1].length
    draws = torch.Generator().manual_seed(before)
    query, key, value = (torch.randn(heads, tokens, 8, generator=draws) for heads in (4, 2, 2))
    with attention.laid_out(layout_of(segments, "cpu")):
        attention.no_mask(local_size=window)
        found, _ = attention.attend(
            torch.nn.Identity(), query[None], key[None], value[None], None, sliding_window=window
        )
    torch.testing.assert_close(found[0], masked(segments, query, key, value, window))


def test_children_of_one_length_are_attended_together() -> None:
    sides = (Side(30, 9, 2), Side(21, 69, 1), Side(20, 90, 1), Side(3, 110, 1), Side(1, 113, 1))
    assert layout_of(family(9), "cpu") == Layout((Side(9, 0, 1), Behind(0, 9, sides)))


def test_where_calls_are_dear_children_of_about_one_length_are_filled_up() -> None:
    groups = filled(family(9)[1:], "cpu")
    assert [(type(one), one.length, one.count) for one in groups] == [
        (Filled, 30, 2),
        (Filled, 21, 2),
        (Filled, 3, 1),
        (Filled, 1, 1),
    ]
