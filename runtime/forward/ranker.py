"""CaR's ranker: all layers of an encoder mixed, averaged over the tokens, and read by a small network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

LAYER = re.compile(r"(?:^|\.)ff\.(\d+)\.weight$")
MIX = re.compile(r"(?:^|\.)scalar_parameters\.(\d+)$")
GAMMA = re.compile(r"(?:^|\.)gamma$")


class MisfitHead(Exception):
    """Weights that are no layer mix and head, or those of another encoder."""


class Ranker(nn.Module):
    """An encoder, a number for each of its layers, and a network with tanh between its linear layers."""

    def __init__(self, body: Any, mix: Tensor, gamma: Tensor, head: nn.Sequential):
        super().__init__()
        self.body = body
        self.config = body.config
        self.mix = nn.Parameter(mix, requires_grad=False)
        self.gamma = nn.Parameter(gamma, requires_grad=False)
        self.head = head

    @classmethod
    def of(cls, body: Any, weights: Mapping[str, Tensor]) -> Ranker:
        """The encoder with the weights of COMET's `layerwise_attention` and feed-forward network."""
        mix, gamma, head = mix_in(weights), gamma_in(weights), head_in(weights)
        layers, size = body.config.num_hidden_layers + 1, body.config.hidden_size
        if len(mix) != layers:
            raise MisfitHead(f"it mixes {len(mix)} layers, and the encoder has {layers} with its embedding")
        if head[0].in_features != size:
            raise MisfitHead(f"it reads {head[0].in_features} numbers, and the encoder gives {size}")
        return cls(body, mix, gamma, head)

    @property
    def dtype(self) -> torch.dtype:
        return self.mix.dtype

    def mixed(self, layers: tuple[Tensor, ...]) -> Tensor:
        """The layers added up by their weights; of most layers the weight is zero."""
        weights = sparsemax(self.mix)
        chosen = weights.nonzero()[:, 0].tolist()
        return self.gamma * torch.stack([weights[at] * layers[at] for at in chosen]).sum(0)

    def scores(self, vectors: Tensor) -> Tensor:
        """`[rows]`, of `[rows, size]` means over tokens."""
        return self.head(vectors)[:, 0]


def sparsemax(logits: Tensor) -> Tensor:
    """The point of the probability simplex that is nearest to the logits (Martins and Astudillo, 2016)."""
    ordered, _ = logits.sort(descending=True)
    sums = ordered.cumsum(0) - 1
    counts = torch.arange(1, len(logits) + 1, device=logits.device, dtype=logits.dtype)
    support = int((counts * ordered > sums).sum())
    return (logits - sums[support - 1] / support).clamp(min=0)


def mix_in(weights: Mapping[str, Tensor]) -> Tensor:
    """One number a layer."""
    numbered = {int(m.group(1)): value for name, value in weights.items() if (m := MIX.search(name))}
    if sorted(numbered) != list(range(len(numbered))) or not numbered:
        raise MisfitHead("it has no `layerwise_attention.scalar_parameters.0` and following")
    return torch.cat([numbered[layer].reshape(1) for layer in range(len(numbered))])


def gamma_in(weights: Mapping[str, Tensor]) -> Tensor:
    """The factor of the mix."""
    found = next((value for name, value in weights.items() if GAMMA.search(name)), None)
    if found is None:
        raise MisfitHead("it has no `layerwise_attention.gamma`")
    return found.reshape(())


def head_in(weights: Mapping[str, Tensor]) -> nn.Sequential:
    """The linear layers of `ff` in order, tanh between them."""
    numbered = sorted((int(m.group(1)), name) for name in weights if (m := LAYER.search(name)))
    layers = [_linear(weights, name) for _, name in numbered]
    if not layers or layers[-1].out_features != 1:
        raise MisfitHead("it has no layers `ff.0.weight` and following that end in one number")
    if any(one.out_features != next_.in_features for one, next_ in pairwise(layers)):
        raise MisfitHead("its layers do not fit each other")
    between = [part for layer in layers for part in (layer, nn.Tanh())]
    return nn.Sequential(*between[:-1])


def _linear(weights: Mapping[str, Tensor], name: str) -> nn.Linear:
    weight, bias = weights[name], weights.get(name.removesuffix("weight") + "bias")
    if bias is None or weight.dim() != 2 or bias.shape != weight.shape[:1]:
        raise MisfitHead(f"`{name}` is not the weight of a linear layer with a bias")
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = (nn.Parameter(part, requires_grad=False) for part in (weight, bias))
    return layer
