"""Low-rank adapters: put beside a model's weights, and merged into them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..compiler.op import TrainSpec

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
"""The projections that LESS adapts."""


def adapted(model: Any) -> dict[str, tuple[int, int]]:
    """The layers that are adapted and their sizes: attention's projections, or all linear ones."""
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    layers = {
        name: (layer.weight.shape[0], layer.weight.shape[1])
        for name, layer in model.named_modules()
        if isinstance(layer, Linear | Conv1D) and layer is not head
    }
    return {name: size for name, size in layers.items() if name.endswith(ATTENTION)} or layers


def trained_numbers(model: Any, rank: int) -> int:
    """How many numbers adapters of that rank have."""
    return sum(rank * (rows + columns) for rows, columns in adapted(model).values())


def with_lora(model: Any, spec: TrainSpec) -> Any:
    """The model with untrained adapters; its own weights are frozen."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(spec.seed)
    config = LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        target_modules=list(adapted(model)),
        task_type="CAUSAL_LM",
    )
    tuned = get_peft_model(model, config)
    # peft looks a named base up on the hub whenever it saves.
    tuned.peft_config["default"].base_model_name_or_path = None
    return tuned


def merged(model: Any) -> Any:
    """The model itself, with the adapters added to its weights where there are any."""
    from peft import PeftModel

    return model.merge_and_unload() if isinstance(model, PeftModel) else model


def parameters(model: Any) -> int:
    """How many numbers the model has."""
    return sum(math.prod(weight.shape) for weight in model.parameters())
