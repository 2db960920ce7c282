"""InstructionGPT-4's selector: a small network in which the rows of a pool attend to each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import nn

HEADS = 4
LAYERS = 2
PREFIX = "module."
"""What stands before the names of the released checkpoint's weights."""


def network(size: int, layers: int = LAYERS) -> nn.ModuleDict:
    """The untrained network for rows of so many features."""
    from torch import nn

    return nn.ModuleDict(
        {
            "multihead_attns": nn.ModuleList(nn.MultiheadAttention(size, HEADS) for _ in range(layers)),
            "linears": nn.ModuleList(nn.Linear(size, size) for _ in range(layers if layers > 1 else 0)),
            "linear": nn.Linear(size, 1),
        }
    )


def scores(selector: nn.ModuleDict, features: torch.Tensor) -> torch.Tensor:
    """`[together, apart]` from `[together, apart, features]`: rows attend to those of the first axis."""
    rows = features
    linears = (*selector["linears"], *(() if len(selector["linears"]) else (lambda x: x,)))  # type: ignore[arg-type]
    for attend, linear in zip(selector["multihead_attns"], linears, strict=True):  # type: ignore[arg-type]
        rows = linear(rows + attend(rows, rows, rows, need_weights=False)[0])
    return selector["linear"](rows)[..., 0]


def loaded(path: Path, size: int) -> nn.ModuleDict:
    """The network with the weights of a safetensors file. Raises ModelError E571."""
    weights = {name.removeprefix(PREFIX): tensor for name, tensor in _read(path).items()}
    layers = len({name.split(".")[1] for name in weights if name.startswith("multihead_attns.")})
    selector = network(size, layers)
    wanted = {name: tuple(tensor.shape) for name, tensor in selector.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if wanted != found or not layers:
        raise _others(path, size, wanted, found)
    selector.load_state_dict(weights)
    return selector.eval()


def _read(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise ModelError(
            "E571", f"there are no weights at `{path}`", help="name the file as seen from the working folder"
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelError(
            "E571",
            f"`{path}` is no safetensors file",
            notes=("pickled checkpoints can run code when they are read, so they are not",),
            help="write the weights again with `safetensors.torch.save_file`",
        ) from error


def _others(
    path: Path, size: int, wanted: Mapping[str, Sequence[int]], found: Mapping[str, Sequence[int]]
) -> ModelError:
    differing = next(name for name in (*wanted, *found) if wanted.get(name) != found.get(name))
    shapes = f"`{differing}` is {found.get(differing, 'absent')}, not {wanted.get(differing, 'absent')}"
    return ModelError(
        "E571",
        f"the weights in `{path}` are not of a selector of {size} features: {shapes}",
        help="give as many features as the weights were trained on, in the same order",
    )


def trained(
    batch: torch.Tensor,
    means: torch.Tensor,
    targets: torch.Tensor,
    *,
    epochs: int,
    learning_rate: float,
    seed: int,
) -> nn.ModuleDict:
    """The network after so many steps of Adam on the squared error of each subset's mean score.

    `batch` is as `scores` wants it, `means` is `[subsets, rows]` and averages the rows of each subset.
    """
    import torch

    # A generator of one's own cannot be given to the initialisers of torch's layers.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        selector = network(batch.shape[-1])
    steps = torch.optim.Adam(selector.parameters(), lr=learning_rate)
    for _ in range(epochs):
        loss = ((means @ scores(selector, batch).reshape(-1) - targets) ** 2).mean()
        steps.zero_grad()
        loss.backward()
        steps.step()
    return selector.eval()
