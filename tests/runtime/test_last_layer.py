"""The last layer is computed where something is asked of it, and nowhere else."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from models_for_tests import LAYERS, loaded, rows
from selrun.compiler.wants import Hidden, Logprobs, NextToken, Want
from selrun.runtime.forward import sweep
from selrun.runtime.forward.body import LAST, Body, inner
from selrun.runtime.forward.last_layer import behind_attention, shorten
from selrun.runtime.forward.packing import packs
from selrun.runtime.models import LoadedModel
from torch import nn

NEXT, SAID = NextToken(("a", "b")), Logprobs("response")
SHORT = ("llama", "gpt2", "mistral", "granite")


def read(model: LoadedModel, wants: Sequence[Want]) -> list[int]:
    """How many tokens the last layer's inner network reads in each pack."""
    Body.prepared(model)
    *_, network = behind_attention(inner(model.model), LAYERS)
    seen: list[int] = []

    def count(part: nn.Module, given: tuple[Any, ...], found: torch.Tensor) -> None:
        seen.append(given[0].shape[1])

    hook = network.register_forward_hook(count, prepend=True)
    list(sweep(model, rows((20, 10, 6)), wants))
    hook.remove()
    return seen


@pytest.mark.parametrize("family", SHORT)
def test_only_what_is_asked_goes_through_the_last_layer(family: str) -> None:
    assert read(loaded(family), [NEXT]) == [3]
    assert read(loaded(family), [SAID]) == [10 + 5 + 3]
    assert read(loaded(family), [NEXT, SAID]) == [10 + 5 + 3 + 3]
    assert read(loaded(family), [NEXT, Hidden(-1, "mean", "whole")]) == [36]


@pytest.mark.parametrize("family", SHORT)
def test_what_is_asked_is_the_same_as_where_all_is_computed(family: str) -> None:
    body, sequences = Body.prepared(loaded(family)), rows((20, 10, 6))
    (pack,) = packs(sequences, np.arange(3), sequences.lengths, 100)
    asked = np.array([2, 5, 30])
    with torch.inference_mode():
        whole, few = (body.run(pack, LAST, only)[0][-1] for only in (None, asked))
    torch.testing.assert_close(few[asked], whole[asked])
    assert not torch.allclose(few, whole)


def test_a_layer_that_does_not_come_out_right_is_left_as_it_was() -> None:
    network = copy.deepcopy(inner(loaded("llama").model))
    assert not shorten(network, LAYERS, lambda: False)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in network.modules())
    assert not shorten(nn.Linear(2, 2), LAYERS, lambda: True)
