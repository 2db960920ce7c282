"""A model with a trained adapter."""

from __future__ import annotations

from ...compiler.op import Op
from ...compiler.values import Model


class Adapter(Op):
    """The model with the weights of a peft adapter merged into its own."""

    verb = "model"
    noun = "adapter"
    positional = ("base", "path")

    base: Model
    """The model that the adapter was trained on."""
    path: str
    """A folder with `adapter_config.json` and the weights, as peft's `save_pretrained` writes it."""
