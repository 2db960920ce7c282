"""Attention over packed rows: every segment sees itself and its parent, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

NAME = "selrun_packed"
LONG_PARENT = 100
"""Copying a shorter parent for each segment is quicker than attending in two parts."""


class UnknownAttention(Exception):
    """The model asks its attention for something that packed rows do not do."""


@dataclass(frozen=True, slots=True)
class Side:
    """Segments of one length that lie side by side."""

    length: int
    start: int
    count: int

    @property
    def stop(self) -> int:
        return self.start + self.count * self.length

    @property
    def slots(self) -> slice:
        """Where they lie, all of them."""
        return slice(self.start, self.stop)


@dataclass(frozen=True, slots=True)
class Behind:
    """Segments side by side behind one parent."""

    parent: int
    """Where the parent begins."""
    before: int
    """Tokens of the parent that each of them sees."""
    sides: tuple[Side, ...]
    """Those of one length together, in the order in which they lie."""

    @property
    def children(self) -> slice:
        """The slots of them all."""
        return slice(self.sides[0].start, self.sides[-1].stop)


@dataclass(frozen=True, slots=True)
class Filled:
    """Segments of about one length behind one parent, the shorter ones filled up on the right: few launches."""

    before: int
    """Tokens of the parent that each of them sees."""
    length: int
    """Of the longest segment."""
    count: int
    asking: Tensor
    """`[count * length]`, the slots of the segments' own tokens."""
    seen: Tensor
    """`[count * (before + length)]`, the slots of the parent's tokens and of their own."""
    kept: Tensor | None
    """Which of the asking ones are no filling; `None`: all."""
    target: Tensor
    """The slots of those that are kept."""


@dataclass(frozen=True, slots=True)
class Variable:
    """The same segments as torch's variable-length attention on CUDA takes them."""

    starts: Tensor
    """`[segments + 1]`, int32."""
    key_starts: Tensor
    longest: int
    longest_keys: int
    keys: Tensor | None
    """The slots of all parents' and segments' tokens, segment by segment; `None` without parents."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows that a model's masks ask for, and those that its attention is told of."""

    asked: set[int] = field(default_factory=set)
    told: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the segments of one packed row lie."""

    groups: tuple[Side | Behind | Filled, ...]
    causal: bool = True
    variable: Variable | None = None
    windows: Windows = field(default_factory=Windows)

    def unknown_windows(self) -> set[int]:
        """The windows that the masks ask for and the attention is not told of, or the other way round.

        Masks that look both ways may count the last token that is seen, and attention never does.
        """
        asked, told = self.windows.asked, self.windows.told
        return asked ^ told if self.causal else {size for size in asked if not {size, size + 1} & told}


_layout: ContextVar[Layout | None] = ContextVar("layout", default=None)


@contextmanager
def laid_out(layout: Layout) -> Iterator[None]:
    """Inside, packed attention follows the layout."""
    token = _layout.set(layout)
    try:
        yield
    finally:
        _layout.reset(token)
    if unknown := layout.unknown_windows():
        raise UnknownAttention(f"a window of {unknown} that only the mask knows")


def register() -> None:
    """Makes packed attention known to transformers under `NAME`."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, no_mask)


def no_mask(*args: Any, local_size: int | None = None, **options: Any) -> None:
    """The layout says who sees whom; a dense mask of a packed row would cost more than the model."""
    layout = _layout.get()
    if layout is not None and local_size is not None:
        layout.windows.asked.add(local_size)


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention of `[1, heads, tokens, size]` queries, as `[1, tokens, heads, size]`."""
    layout = _layout.get()
    if layout is None or attention_mask is not None:
        raise UnknownAttention("packed attention outside a packed row")
    for name in ("softcap", "s_aux", "position_bias"):
        if options.get(name) is not None:
            raise UnknownAttention(name)
    if sliding_window is not None:
        layout.windows.told.add(sliding_window)
    if layout.variable is not None:
        return _variable(layout, query[0], key[0], value[0], scaling, sliding_window)[None], None
    out = query.new_empty(query.shape[2], query.shape[1], value.shape[3])
    for group in layout.groups:
        given = query[0], key[0], value[0], out, scaling, sliding_window
        match group:
            case Side():
                _side(group, layout.causal, *given)
            case Filled():
                _filled(group, *given)
            case Behind() if _joins(group, query, value, sliding_window):
                _joined(group, *given[:-1])
            case Behind():
                _copied(group, *given)
    return out[None], None


def _side(
    group: Side, causal: bool, query: Tensor, key: Tensor, value: Tensor, out: Tensor,
    scaling: float | None, window: int | None,
) -> None:  # fmt: skip
    q, k, v = (_split(states[:, group.slots], group.count) for states in (query, key, value))
    narrow = window is not None and group.length > window
    mask = _band(0, group.length, window, q.device, causal) if narrow else None
    seen = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=causal and mask is None, scale=scaling,
        enable_gqa=q.shape[1] != k.shape[1],
    )  # fmt: skip
    out[group.slots] = seen.transpose(1, 2).flatten(0, 1)


def _filled(
    group: Filled, query: Tensor, key: Tensor, value: Tensor, out: Tensor,
    scaling: float | None, window: int | None,
) -> None:  # fmt: skip
    q = _split(query.index_select(1, group.asking), group.count)
    k, v = (_split(states.index_select(1, group.seen), group.count) for states in (key, value))
    # Filled up on the right, where a causal mask lets nobody look.
    seen = _behind(q, k, v, scaling, window).transpose(1, 2).flatten(0, 1)
    out[group.target] = seen if group.kept is None else seen[group.kept]


def _copied(
    group: Behind, query: Tensor, key: Tensor, value: Tensor, out: Tensor,
    scaling: float | None, window: int | None,
) -> None:  # fmt: skip
    """The parent's keys and values are copied for every segment."""
    parent = slice(group.parent, group.parent + group.before)
    for side in group.sides:
        above = (states[:, parent].expand(side.count, -1, -1, -1) for states in (key, value))
        own = (_split(states[:, side.slots], side.count) for states in (key, value))
        k, v = (torch.cat(pair, dim=2) for pair in zip(above, own, strict=True))
        seen = _behind(_split(query[:, side.slots], side.count), k, v, scaling, window)
        out[side.slots] = seen.transpose(1, 2).flatten(0, 1)


def _behind(query: Tensor, key: Tensor, value: Tensor, scaling: float | None, window: int | None) -> Tensor:
    """Attention of segments `[count, heads, length, size]` that see more tokens before them."""
    before = key.shape[2] - query.shape[2]
    mask = _band(before, query.shape[2], window, query.device)
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=scaling, enable_gqa=query.shape[1] != key.shape[1]
    )


def _joins(group: Behind, query: Tensor, value: Tensor, window: int | None) -> bool:
    """Whether attention in two parts is to be had, and the quicker way."""
    longest = max(side.length for side in group.sides)
    return (
        group.before >= LONG_PARENT
        and (window is None or window >= group.before + longest)
        and query.device.type == "cpu"
        and query.dtype == torch.float32
        and query.shape[-1] == value.shape[-1]
        and hasattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu")
    )


def _joined(
    group: Behind, query: Tensor, key: Tensor, value: Tensor, out: Tensor, scaling: float | None
) -> None:
    """The same, from attention over the parent for all segments at once and over each segment by itself.

    Each part comes with the logarithm of what its weights add up to, and by that the two are weighed.
    """
    attended = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    parent, children = slice(group.parent, group.parent + group.before), group.children
    times = query.shape[0] // key.shape[0]
    above, above_weight = attended(
        query[None, :, children],
        *(_repeated(states[:, parent], times)[None] for states in (key, value)),
        scale=scaling,
    )
    for side in group.sides:
        there = slice(side.start - children.start, side.stop - children.start)
        q, k, v = (_split(states[:, side.slots], side.count) for states in (query, key, value))
        own, weight = attended(q, _repeated(k, times, 1), _repeated(v, times, 1), 0.0, True, scale=scaling)
        seen_above, weight_above = (_split(part[0, :, there], side.count) for part in (above, above_weight))
        share = torch.sigmoid(weight_above - weight)  # [count, heads, length]
        seen = torch.lerp(own, seen_above, share[..., None])
        out[side.slots] = seen.transpose(1, 2).flatten(0, 1)


def _repeated(states: Tensor, times: int, heads: int = 0) -> Tensor:
    """Each head so often; `heads` is their dimension."""
    return states if times == 1 else states.repeat_interleave(times, heads)


def _split(states: Tensor, count: int) -> Tensor:
    """`[heads, count * length, …]` as `[count, heads, length, …]`."""
    return states.unflatten(1, (count, -1)).transpose(0, 1)


def _band(before: int, length: int, window: int | None, device: torch.device, causal: bool = True) -> Tensor:
    """`[length, before + length]`, whether a token sees another: not beyond a window, and causally no later one."""
    distance = torch.arange(before, before + length, device=device)[:, None] - torch.arange(
        before + length, device=device
    )
    near = distance.abs() < (window or before + length)
    return near & (distance >= 0) if causal else near


def _variable(
    layout: Layout, query: Tensor, key: Tensor, value: Tensor, scaling: float | None, window: int | None
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    plan = layout.variable
    assert plan is not None
    q, k, v = (states.transpose(0, 1) for states in (query, key, value))  # [tokens, heads, size]
    if plan.keys is not None:
        k, v = k[plan.keys], v[plan.keys]
    left = -1 if window is None else window - 1
    seen = varlen_attn(
        q.contiguous(), k.contiguous(), v.contiguous(), plan.starts, plan.key_starts, plan.longest,
        plan.longest_keys, scale=scaling, window_size=(left, 0) if layout.causal else (left, left),
        enable_gqa=q.shape[1] != k.shape[1],
    )  # fmt: skip
    assert isinstance(seen, Tensor)
    return seen
