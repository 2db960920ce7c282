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


@dataclass(frozen=True, slots=True)
class Behind:
    """Segments of about one length behind one parent; the shorter ones are filled up on the right."""

    parent: int
    """Where the parent begins."""
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

    groups: tuple[Side | Behind, ...]
    causal: bool = True
    variable: Variable | None = None
    windows: Windows = field(default_factory=Windows)


_layout: ContextVar[Layout | None] = ContextVar("layout", default=None)


@contextmanager
def laid_out(layout: Layout) -> Iterator[None]:
    """Inside, packed attention follows the layout."""
    token = _layout.set(layout)
    try:
        yield
    finally:
        _layout.reset(token)
    if unknown := layout.windows.asked - layout.windows.told:
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
        if isinstance(group, Side):
            _side(group, layout.causal, query[0], key[0], value[0], out, scaling, sliding_window)
        else:
            _behind(group, query[0], key[0], value[0], out, scaling, sliding_window)
    return out[None], None


def _side(
    group: Side, causal: bool, query: Tensor, key: Tensor, value: Tensor, out: Tensor,
    scaling: float | None, window: int | None,
) -> None:  # fmt: skip
    part = slice(group.start, group.start + group.count * group.length)
    q, k, v = (_split(states[:, part], group.count) for states in (query, key, value))
    mask = _band(0, group.length, window, q.device) if window and group.length > window and causal else None
    seen = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=causal and mask is None, scale=scaling,
        enable_gqa=q.shape[1] != k.shape[1],
    )  # fmt: skip
    out[part] = seen.transpose(1, 2).flatten(0, 1)


def _behind(
    group: Behind, query: Tensor, key: Tensor, value: Tensor, out: Tensor,
    scaling: float | None, window: int | None,
) -> None:  # fmt: skip
    if _joins(group, query, value, window):
        flat = _joined(group, query, key, value, scaling)
    else:
        flat = _gathered(group, query, key, value, scaling, window)
    out[group.target] = flat if group.kept is None else flat[group.kept]


def _gathered(
    group: Behind, query: Tensor, key: Tensor, value: Tensor, scaling: float | None, window: int | None
) -> Tensor:
    """`[count * length, heads, size]`, the parent's keys copied for every segment."""
    q = _split(query.index_select(1, group.asking), group.count)
    k, v = (_split(states.index_select(1, group.seen), group.count) for states in (key, value))
    # Filled up on the right, where a causal mask lets nobody look.
    mask = _band(group.before, group.length, window, q.device)
    seen = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, scale=scaling, enable_gqa=q.shape[1] != k.shape[1]
    )
    return seen.transpose(1, 2).flatten(0, 1)


def _joins(group: Behind, query: Tensor, value: Tensor, window: int | None) -> bool:
    """Whether attention in two parts is to be had, and the quicker way."""
    return (
        group.before >= LONG_PARENT
        and group.count > 1
        and (window is None or window >= group.before + group.length)
        and query.device.type == "cpu"
        and query.dtype == torch.float32
        and query.shape[-1] == value.shape[-1]
        and hasattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu")
    )


def _joined(group: Behind, query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
    """The same, from attention over the parent for all segments at once and over each segment by itself.

    Each part comes with the logarithm of what its weights add up to, and by that the two are weighed.
    """
    attended = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    times = query.shape[0] // key.shape[0]
    parent = slice(group.parent, group.parent + group.before)
    asking = query.index_select(1, group.asking)
    above, above_weight = attended(
        asking[None], *(_repeated(states[:, parent], times)[None] for states in (key, value)), scale=scaling
    )
    own = (_split(_repeated(s.index_select(1, group.asking), times), group.count) for s in (key, value))
    beside, beside_weight = attended(_split(asking, group.count), *own, 0.0, True, scale=scaling)
    share = torch.sigmoid(_split(above_weight[0], group.count) - beside_weight)  # [count, heads, length]
    return torch.lerp(beside, _split(above[0], group.count), share[..., None]).transpose(1, 2).flatten(0, 1)


def _repeated(states: Tensor, times: int) -> Tensor:
    """Each head so often."""
    return states if times == 1 else states.repeat_interleave(times, 0)


def _split(states: Tensor, count: int) -> Tensor:
    """`[heads, count * length, …]` as `[count, heads, length, …]`."""
    return states.unflatten(1, (count, -1)).transpose(0, 1)


def _band(before: int, length: int, window: int | None, device: torch.device) -> Tensor:
    """`[length, before + length]`, whether a token sees another: not the later ones, and not beyond a window."""
    distance = torch.arange(before, before + length, device=device)[:, None] - torch.arange(
        before + length, device=device
    )
    return distance >= 0 if window is None else (distance >= 0) & (distance < window)


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
        plan.longest_keys, scale=scaling, window_size=(left, 0) if layout.causal else (-1, -1),
        enable_gqa=q.shape[1] != k.shape[1],
    )  # fmt: skip
    assert isinstance(seen, Tensor)
    return seen
