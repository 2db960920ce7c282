"""A model's last layer, which behind its attention is computed only for the tokens that something is asked of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

OUTPUTS = ("o_proj", "c_proj", "dense", "out_proj")
"""How models call the product that follows their attention."""


@dataclass(frozen=True, slots=True)
class Few:
    """The tokens of a packed row whose last states are read."""

    slots: Tensor
    tokens: int
    """Of the whole row."""


_few: ContextVar[Few | None] = ContextVar("few", default=None)


@contextmanager
def only(few: Few | None) -> Iterator[None]:
    """Inside, the last states of other tokens mean nothing."""
    token = _few.set(few)
    try:
        yield
    finally:
        _few.reset(token)


def shorten(body: nn.Module, layers: int, is_right: Callable[[], bool]) -> bool:
    """Lets the last of so many layers leave out what is not asked; false, and as before, where that is wrong."""
    hooks = [
        hook
        for part in behind_attention(body, layers)
        for hook in (part.register_forward_pre_hook(narrowed), part.register_forward_hook(widened))
    ]
    if hooks and is_right():
        return True
    for hook in hooks:
        hook.remove()
    return False


def behind_attention(body: nn.Module, layers: int) -> list[nn.Module]:
    """The parts of the last layer that treat every token by itself: its attention's output and inner network."""
    stacks = [part for part in body.modules() if isinstance(part, nn.ModuleList) and len(part) == layers]
    last = stacks[0][-1] if stacks else nn.Identity()
    attentions = [part for part in last.children() if hasattr(part, "layer_idx")]
    outputs = [getattr(part, name, None) for part in attentions for name in OUTPUTS]
    return [part for part in (*outputs, getattr(last, "mlp", None)) if isinstance(part, nn.Module)]


def narrowed(part: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """What is asked of `[1, tokens, size]` states."""
    few = _few.get()
    return None if few is None else (given[0].index_select(1, few.slots), *given[1:])


def widened(part: nn.Module, given: tuple[Any, ...], found: Tensor) -> Tensor | None:
    """`[1, tokens, size]` again, 0 where nothing is asked."""
    few = _few.get()
    if few is None:
        return None
    whole = found.new_zeros(1, few.tokens, found.shape[-1])
    return whole.index_copy_(1, few.slots, found)
