"""How much memory a fine-tune is expected to take."""

from __future__ import annotations

import pytest
import torch
from selrun.compiler.op import TrainSpec
from selrun.compiler.templates import ALPACA
from selrun.compiler.values import Model
from selrun.compiler.wants import View
from selrun.errors import ModelError
from selrun.runtime.train_memory import Load, Seats, halved, out_of_memory, seats, seats_for
from transformers import GPT2Config, LlamaConfig

GB = 1_000_000_000
PLAIN = Load(weights=100, copies=0, gradients=100, moments=200, layer_token=10, layers=4, edge_token=10)
SPEC = TrainSpec(Model(key="m"), View(ALPACA, limit=512), epochs=1, learning_rate=2e-5, batch=128)


def room(tokens: int, sparing: bool = False) -> int:
    return int(PLAIN.of(tokens, sparing) / 0.9) + 1


def test_rows_at_once_divide_the_batch() -> None:
    assert seats(PLAIN, longest=10, batch=12, free=room(5 * 10), kind="cpu") == Seats(4, sparing=False)


def test_layers_are_recomputed_only_when_keeping_them_does_not_fit() -> None:
    assert seats(PLAIN, longest=10, batch=12, free=room(10), kind="cpu") == Seats(1, sparing=False)
    assert seats(PLAIN, longest=10, batch=12, free=room(10) - 50, kind="cpu") == Seats(2, sparing=True)


def test_nothing_is_planned_that_does_not_fit() -> None:
    assert seats(PLAIN, longest=10, batch=12, free=400, kind="cpu") is None


def test_after_running_out_of_memory_half_as_many_rows_are_tried_and_one_sparingly_at_last() -> None:
    tried = [Seats(6, sparing=False)]
    while smaller := halved(tried[-1], 12):
        tried.append(smaller)
    assert tried == [Seats(6, False), Seats(3, False), Seats(1, False), Seats(1, True)]


def test_all_weights_of_a_7b_model_take_about_112_gb() -> None:
    with pytest.raises(ModelError) as raised:
        seats_for(
            LlamaConfig(), name="llama2-7b", spec=SPEC, longest=512,
            device=torch.device("cpu"), dtype=torch.float32, free=40 * GB,
        )  # fmt: skip
    assert raised.value.code == "E450"
    assert raised.value.headline == "fine-tuning llama2-7b takes about 109 GB, and 40 GB of memory is free"
    assert "`adapter = lora`" in raised.value.help[0]


@pytest.mark.parametrize("config", [LlamaConfig(num_hidden_layers=2), GPT2Config()])
def test_what_is_planned_fits_into_what_is_free(config: LlamaConfig | GPT2Config) -> None:
    found = seats_for(
        config, name="m", spec=SPEC, longest=512,
        device=torch.device("cpu"), dtype=torch.float32, free=64 * GB,
    )  # fmt: skip
    assert found == Seats(8, sparing=False)


def test_errors_that_mean_memory_ran_out_are_told_from_others() -> None:
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …"))
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
