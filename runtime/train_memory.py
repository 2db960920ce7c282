"""How much memory a fine-tune takes, and how many rows at once fit into what is free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from .train_lora import parameters, trained_numbers

if TYPE_CHECKING:
    import torch

    from ..compiler.op import TrainSpec

WIDTHS, INNERS, LOGITS = 16, 5, 16
"""Numbers kept for the backward pass per token and layer, in multiples of the hidden and the inner width, and
bytes per word of the vocabulary. Upper bounds: Llama keeps 10 and 4, GPT-2 16 and 5, as counted by hooks."""
USABLE = 0.9
"""The part of the free memory that is planned with; allocators round up and fragment."""
TOKENS_AT_ONCE = {"cpu": 4_096, "cuda": 16_384, "mps": 4_096}
"""Beyond these more rows at once make training no faster."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a fine-tune keeps in memory, in bytes."""

    weights: int
    copies: int
    """Of the weights in the type that is computed with, where that is another one."""
    gradients: int
    moments: int
    """Adam's two running means."""
    layer_token: int
    """One token in one layer, kept for the backward pass."""
    layers: int
    edge_token: int
    """One token outside the layers: its place between each two of them, and its logits."""

    @property
    def fixed(self) -> int:
        """What does not depend on the rows at once."""
        return self.weights + self.copies + self.gradients + self.moments

    def of(self, tokens: int, sparing: bool) -> int:
        """All of it with so many tokens at once; `sparing` recomputes the layers in the backward pass."""
        kept = 1 if sparing else self.layers
        return self.fixed + tokens * (kept * self.layer_token + self.edge_token)


@dataclass(frozen=True, slots=True)
class Seats:
    """How many rows are in memory at once."""

    rows: int
    sparing: bool
    """Layers are computed again in the backward pass instead of being kept."""


def load_of(config: Any, *, parameters: int, trained: int, dtype: torch.dtype) -> Load:
    """What a fine-tune of `trained` of the parameters takes, computing in `dtype`.

    Weights that are trained are kept in float32, whatever is computed with: at a rate of 2e-5 most steps are
    smaller than bfloat16 can add to a weight.
    """
    width = config.hidden_size
    inner = getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None) or 4 * width
    size = dtype.itemsize
    frozen = parameters if trained < parameters else 0
    return Load(
        weights=frozen * size + trained * 4,
        copies=trained * size if size < 4 else 0,
        gradients=trained * 4,
        moments=trained * 8,
        layer_token=(WIDTHS * width + INNERS * inner) * (4 if size == 4 else 3),
        layers=config.num_hidden_layers,
        edge_token=width * config.num_hidden_layers * 4 + config.vocab_size * LOGITS,
    )


def seats_for(
    config: Any,
    *,
    name: str,
    spec: TrainSpec,
    longest: int,
    device: torch.device,
    dtype: torch.dtype,
    free: int,
) -> Seats:
    """How many rows at once fit beside what the fine-tune keeps; nothing is allocated.

    Raises ModelError E450 with what would fit when not even one row does.
    """
    total, adapters = _sizes(config, spec.rank)
    load, lora = (load_of(config, parameters=total, trained=t, dtype=dtype) for t in (total, adapters))
    wanted = lora if spec.adapter == "lora" else load
    if found := seats(wanted, longest=longest, batch=spec.batch, free=free, kind=device.type):
        return found
    where = "memory" if device.type == "cpu" else f"the memory of {device}"
    raise refusal(name, wanted, None if wanted is lora else lora, longest=longest, free=free, where=where)


def _sizes(config: Any, rank: int) -> tuple[int, int]:
    """How many numbers a model of that configuration has, and how many its adapters would have."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return parameters(model), trained_numbers(model, rank)


def seats(load: Load, *, longest: int, batch: int, free: int, kind: str) -> Seats | None:
    """As many rows at once as are useful and fit, dividing the batch; `None` when not one fits."""
    most = max(1, TOKENS_AT_ONCE.get(kind, 4_096) // longest)
    for sparing in (False, True):
        for rows in divisors(batch):
            if rows <= most and load.of(rows * longest, sparing) <= free * USABLE:
                return Seats(rows, sparing)
    return None


def divisors(number: int) -> list[int]:
    """Every divisor, the largest first."""
    return [d for d in range(number, 0, -1) if number % d == 0]


def halved(seats: Seats, batch: int) -> Seats | None:
    """At most half the rows, then one row sparingly; `None` when there is nothing left to save."""
    rows = next((d for d in divisors(batch) if d <= seats.rows // 2), None)
    if rows is not None:
        return Seats(rows, seats.sparing)
    return None if seats.sparing else Seats(1, sparing=True)


def refusal(name: str, load: Load, lora: Load | None, *, longest: int, free: int, where: str) -> ModelError:
    """The error of a fine-tune that does not fit, with what would."""
    need = load.of(longest, sparing=True)
    return ModelError(
        "E450",
        f"fine-tuning {name} takes about {gigabytes(need)}, and {gigabytes(free)} of {where} is free",
        notes=(
            f"weights {gigabytes(load.weights + load.copies)}, gradients {gigabytes(load.gradients)}, Adam's "
            f"moments {gigabytes(load.moments)}, a row of {longest:,} tokens {gigabytes(need - load.fixed)}",
        ),
        help=tuple(_what_fits(load, lora, longest=longest, free=free)),
    )


def _what_fits(load: Load, lora: Load | None, *, longest: int, free: int) -> Iterator[str]:
    room = free * USABLE
    if lora and lora.of(longest, sparing=True) <= room:
        need = gigabytes(lora.of(longest, sparing=True))
        yield f"train low-rank matrices instead of all weights, which takes about {need}: `adapter = lora`"
    tokens = int((room - load.fixed) // (load.of(1, sparing=True) - load.fixed))
    if 32 <= tokens < longest:
        yield f"cut the rows shorter: `max_tokens = {tokens}`"
    smaller = room / (load.fixed + longest * load.edge_token)
    yield f"take a model of about {smaller:.0%} of its size" if smaller >= 0.01 else "take a smaller model"
    yield "free some memory, or train on a machine with more"


def out_of_memory(error: BaseException) -> bool:
    """Whether the error says that memory ran out, on whatever device."""
    import torch

    told = ("can't allocate memory", "out of memory")
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in told)


def free_memory(device: torch.device) -> int:
    """Bytes that a fine-tune on the device may take; what other processes use is left out."""
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return free_ram()


def free_ram() -> int:
    """Bytes of main memory that are free, within the limit of the container where there is one."""
    import psutil

    there = psutil.virtual_memory().available
    limit = _container("memory.max").strip()
    held = _container("memory.stat").partition("anon ")[2].partition("\n")[0]
    return min(there, int(limit) - int(held)) if limit.isdigit() and held.isdigit() else there


def _container(name: str) -> str:
    """What the control group says of its memory; nothing where there is none."""
    try:
        return (Path("/sys/fs/cgroup") / name).read_text()
    except OSError:
        return ""


def gigabytes(count: float) -> str:
    """A number of bytes as a person reads it."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{max(0.0, count) / 1e6:.1f} MB"
