"""How many tokens fit into memory at once, and what running out of it looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from ..models import LoadedModel

CPU_TOKENS = 2048
"""More tokens a row leave the caches and gain nothing."""
CUDA_TOKENS = 32_768
"""One forward must outlast the launches of its kernels."""
LEAST_TOKENS = 256
SHARE = 0.5
"""Of the free memory that one forward may plan with."""
OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "bad_alloc")


def token_budget_from_memory(model: LoadedModel, device: str | None = None) -> int:
    """Tokens of one packed row that fit into the free memory of the device."""
    device = device or model.device
    most = CUDA_TOKENS if device.startswith("cuda") else CPU_TOKENS
    fits = int(free_bytes(device) * SHARE / bytes_per_token(model))
    return max(LEAST_TOKENS, min(most, fits))


def free_bytes(device: str) -> int:
    """Free memory of the device now."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    import psutil

    return psutil.virtual_memory().available


def bytes_per_token(model: LoadedModel) -> int:
    """An upper estimate of what one token takes: every layer's output, and one layer's inner states."""
    hidden, layers = model.card.hidden or 4096, model.card.layers or 32
    size = torch.finfo(getattr(torch, model.dtype)).bits // 8
    return size * hidden * (layers + 32)


def ran_out(error: BaseException) -> bool:
    """Whether the error says that memory is short."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
