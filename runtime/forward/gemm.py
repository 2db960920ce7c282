"""The faster of the exact matrix products that this machine offers, for every linear layer."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PROBE_ROWS = (64, 2048)
PROBE_PRODUCTS = 1 << 30
"""Multiplications of one probe: some milliseconds, whatever the shape."""
Product = Callable[[Tensor, Tensor, Tensor | None], Tensor]


class OneDnnLinear(nn.Linear):
    """A linear layer whose float32 product oneDNN computes."""

    def forward(self, input: Tensor) -> Tensor:
        return onednn(input, self.weight, self.bias)


def onednn(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The same float32 product as `F.linear`; on AMD processors with twice its speed."""
    return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")


def speed_up(network: nn.Module) -> str:
    """Gives every float32 linear layer on the CPU its faster product; returns what was chosen."""
    unfold_transposed(network)
    layers = [module for module in network.modules() if type(module) is nn.Linear]
    for layer in layers:
        if layer.weight.device.type == "cpu" and layer.weight.dtype == torch.float32:
            outputs, inputs = layer.weight.shape
            if onednn_is_faster(inputs, outputs, torch.get_num_threads()):
                layer.__class__ = OneDnnLinear
    fast = sum(type(module) is OneDnnLinear for module in network.modules())
    return "oneDNN" if fast else "torch"


def unfold_transposed(network: nn.Module) -> None:
    """GPT-2's transposed layers become linear layers of the same numbers."""
    from transformers.pytorch_utils import Conv1D

    found = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, Conv1D)
    ]
    for parent, name, child in found:
        setattr(parent, name, as_linear(child.weight, child.bias))


def as_linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """The linear layer of a `[in, out]` weight."""
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[0], weight.shape[1])
    layer.weight = nn.Parameter(weight.detach().T.contiguous(), requires_grad=False)
    layer.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return layer


chosen: dict[str, bool] = {}
"""Whether oneDNN is faster, by shape and threads: measured once, and told to later processes by whoever remembers
it, because the two products differ in their last bits."""


def onednn_is_faster(inputs: int, outputs: int, threads: int) -> bool:
    """What was chosen for the shape, measured where nobody knows it yet."""
    shape = f"{inputs} {outputs} {threads}"
    if shape not in chosen:
        chosen[shape] = measured_faster(inputs, outputs)
    return chosen[shape]


def machine() -> str:
    """What a choice holds for: this processor and this build of torch."""
    return f"{torch.backends.cpu.get_cpu_capability()} {platform.processor() or platform.machine()} {torch.__version__}"


def measured_faster(inputs: int, outputs: int) -> bool:
    """Whether oneDNN is faster on random numbers of that shape."""
    least, most = PROBE_ROWS
    count = max(least, min(most, PROBE_PRODUCTS // (inputs * outputs)))
    rows, weight = torch.randn(count, inputs), torch.randn(outputs, inputs)
    if not _agrees(rows[:8], weight):
        return False
    ours, theirs = quickest((onednn, F.linear), rows, weight)
    return ours < 0.98 * theirs


def _agrees(rows: Tensor, weight: Tensor) -> bool:
    """Whether this build of torch has the product and it gives float32 results."""
    try:
        ours = onednn(rows, weight, None)
    except (AttributeError, RuntimeError, NotImplementedError, TypeError):
        return False
    exact = rows.double() @ weight.double().T
    return bool((ours - exact).abs().max() <= 1e-5 * exact.abs().max())


def quickest(products: Sequence[Product], rows: Tensor, weight: Tensor, repeats: int = 5) -> list[float]:
    """The least CPU seconds of each product; they take turns, so that a busy machine slows all alike."""
    with torch.inference_mode():
        turns = [[_timed(product, rows, weight) for product in products] for _ in range(repeats + 1)]
    return [min(times) for times in zip(*turns[1:], strict=True)]


def _timed(product: Product, rows: Tensor, weight: Tensor) -> float:
    started = time.process_time()
    product(rows, weight, None)
    return time.process_time() - started
