"""Layers with reordered weights give the products of plain layers, and keep one copy of each weight."""

from __future__ import annotations

import copy

import pytest
import torch
from headed_models import bert, stirred
from selrun.runtime.forward import laid_out
from selrun.runtime.forward.laid_out import LaidOutLinear, lay_out
from torch import nn


def test_a_laid_out_bert_says_what_it_said() -> None:
    if not laid_out.available():
        pytest.skip("this build of torch has no oneDNN products")
    network = stirred(bert(3)).requires_grad_(False)
    ids = torch.arange(4, 44).reshape(2, 20)
    with torch.inference_mode():
        before = network(input_ids=ids).logits
        assert lay_out(network) == "oneDNN"
        after = network(input_ids=ids).logits
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    assert {(type(layer), layer.weight.numel()) for layer in layers} == {(LaidOutLinear, 0)}
    assert [layer.follows for layer in layers].count("gelu") == 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_only_float32_is_laid_out(dtype: torch.dtype) -> None:
    network = nn.Sequential(nn.Linear(8, 8).to(dtype))
    lay_out(network)
    assert type(network[0]) is nn.Linear


def test_a_torch_without_these_products_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laid_out, "available", lambda: False)
    network = nn.Sequential(nn.Linear(8, 8)).requires_grad_(False)
    weight = copy.deepcopy(network[0].weight)
    lay_out(network)
    assert torch.equal(network[0].weight, weight)
