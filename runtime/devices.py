"""Which devices this machine has, and the engine that uses them."""

from __future__ import annotations

import sys
from pathlib import Path

from ..errors import ModelError
from .engine import LocalEngine
from .events import Listener

DTYPES = ("float32", "bfloat16", "float16")


def device_of(wanted: str | None) -> str:
    """The device to run on: the one asked for, or CUDA, MPS, the CPU. Raises ModelError E439."""
    if wanted == "cpu" or (wanted is None and not may_accelerate()):
        return "cpu"
    import torch

    if wanted is None:
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    known = ["cpu", *(["mps"] if torch.backends.mps.is_available() else [])]
    if torch.cuda.is_available():
        known += ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if wanted not in known:
        raise ModelError(
            "E439",
            f"this machine has no device `{wanted}`",
            help=f"leave `--device` out, or take one of: {', '.join(known)}",
        )
    return wanted


def may_accelerate() -> bool:
    """Whether it is worth asking torch for an accelerator, which takes seconds: not where no driver is."""
    return sys.platform != "linux" or any(
        Path(node).exists() for node in ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
    )


def dtype_of(wanted: str | None, device: str) -> str:
    """float32, but bfloat16 on CUDA, unless something else was asked for. Raises ModelError E439."""
    if wanted is None:
        return "bfloat16" if device.startswith("cuda") else "float32"
    if wanted not in DTYPES:
        raise ModelError("E439", f"there is no dtype `{wanted}`", help=f"one of {', '.join(DTYPES)}")
    return wanted


def engine_for(device: str, workers: int | None, listen: Listener) -> LocalEngine:
    """In this process on one device; one process for each of several GPUs, or as many as were asked for."""
    devices = [device]
    if device == "cuda":
        import torch

        devices = [f"cuda:{number}" for number in range(max(torch.cuda.device_count(), 1))]
    return LocalEngine(devices, workers=workers, listen=listen)
