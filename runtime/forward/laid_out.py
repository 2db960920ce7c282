"""Linear layers of encoders with their weights in the order in which oneDNN reads them."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gemm import speed_up

ROWS = 1024
"""The order of a weight is chosen for so many rows; others are as right."""


class LaidOutLinear(nn.Linear):
    """A linear layer whose weight oneDNN has reordered, with what follows it in the same call."""

    laid_out: Tensor
    follows: str
    """`none`, or `gelu` in its exact form."""

    def forward(self, input: Tensor) -> Tensor:
        return product(input, self.laid_out, self.bias, self.follows)


def product(rows: Tensor, weight: Tensor, bias: Tensor | None, follows: str) -> Tensor:
    """The float32 product of `F.linear` and what follows it."""
    how = "none" if follows == "gelu" else ""
    return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, follows, [], how)


def reordered(weight: Tensor) -> Tensor:
    """The same numbers as oneDNN reads them."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)


def lay_out(network: nn.Module) -> str:
    """Reorders the weights of every float32 linear layer on the CPU; returns which products are taken.

    A laid-out layer keeps no other copy of its weight.
    """
    layers = [module for module in network.modules() if type(module) is nn.Linear]
    plain = all(layer.weight.device.type == "cpu" and layer.weight.dtype == torch.float32 for layer in layers)
    if not plain or not available():
        return speed_up(network)
    for layer in layers:
        layer.__class__ = LaidOutLinear
        assert isinstance(layer, LaidOutLinear)
        layer.laid_out, layer.follows = reordered(layer.weight), "none"
        layer.weight = nn.Parameter(torch.empty(0), requires_grad=False)
    for module in network.modules():
        join_gelu(module)
    return "oneDNN"


def join_gelu(module: nn.Module) -> None:
    """Lets a BERT's inner layer compute its activation in the call of its product."""
    dense, activation = getattr(module, "dense", None), getattr(module, "intermediate_act_fn", None)
    if isinstance(dense, LaidOutLinear) and getattr(activation, "act", None) is F.gelu:
        dense.follows = "gelu"
        module.intermediate_act_fn = nn.Identity()


@cache
def available() -> bool:
    """Whether this build of torch has these products and they give float32 results."""
    draws = torch.Generator().manual_seed(0)
    rows, weight = torch.randn(8, 96, generator=draws), torch.randn(64, 96, generator=draws)
    exact = rows.double() @ weight.double().T
    try:
        ours = product(rows, reordered(weight), None, "none"), product(rows, reordered(weight), None, "gelu")
    except (AttributeError, RuntimeError, NotImplementedError, TypeError):
        return False
    return all(
        bool((found - right).abs().max() <= 1e-5 * exact.abs().max())
        for found, right in zip(ours, (exact, F.gelu(exact)), strict=True)
    )
