"""A ranker in the layout of a COMET checkpoint: its settings, one file with all weights, and its encoder by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from .weights import called_by, no_weights

if TYPE_CHECKING:
    from torch import Tensor

SETTINGS, WEIGHTS = "hparams.yaml", "checkpoints/*.ckpt"
ENCODER = "encoder.model."
"""What the names of the encoder's weights begin with; the others are those of the mix and the head."""
READ: Mapping[str, object] = {
    "layer": "mix", "layer_transformation": "sparsemax", "layer_norm": False, "pool": "avg", "activations": "Tanh",
    "final_activation": None,
}  # fmt: skip
"""The settings of the network that is run here; with others it would be another one."""


def is_comet(folder: Path) -> bool:
    return (folder / SETTINGS).is_file() and not (folder / "config.json").exists()


def encoder_named(folder: Path, target: str) -> str:
    """The model whose configuration and tokenizer the checkpoint's encoder has. Raises ModelError E431 and E459."""
    settings = settings_of(folder, target)
    other = {name: settings.get(name, value) for name, value in READ.items()}
    wrong = [name for name, value in READ.items() if other[name] != value]
    if wrong:
        fact = f"its `{wrong[0]}` is `{other[wrong[0]]}`, and `{READ[wrong[0]]}` is what is run here"
        raise ModelError(
            "E459", f"`{target}` is another network: {fact}", help="name a ranker as CaR trains it"
        )
    named = settings.get("pretrained_model")
    if not isinstance(named, str):
        raise unreadable(target, "it does not name a `pretrained_model`")
    # The oldest models of the hub lie under names without an organisation.
    return named if "/" in named or not named.startswith("xlm-roberta") else f"FacebookAI/{named}"


def settings_of(folder: Path, target: str) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load((folder / SETTINGS).read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise unreadable(target, str(error).partition("\n")[0]) from None
    if not isinstance(found, dict):
        raise unreadable(target, "it holds no settings")
    return found


def unreadable(target: str, fact: str) -> ModelError:
    return ModelError("E431", f"{SETTINGS} of `{target}` cannot be read: {fact}", help="copy the model again")


def weights_of(folder: Path, target: str) -> dict[str, Tensor]:
    """All weights of the checkpoint, mapped from the file. Raises ModelError E433 and what torch raises."""
    import torch

    paths = sorted(folder.glob(WEIGHTS))
    if len(paths) != 1:
        raise several(paths, target) if paths else no_weights(folder, target)
    try:
        held = torch.load(paths[0], map_location="cpu", weights_only=True, mmap=True)
    except UnpicklingError as error:
        if call := called_by(error):
            raise unsafe(paths[0], target, call) from None
        raise
    return held["state_dict"]


def several(paths: list[Path], target: str) -> ModelError:
    names = ", ".join(path.name for path in paths)
    return ModelError(
        "E433",
        f"`{target}` has {len(paths)} checkpoints, and one is read: {names}",
        help="leave the one that counts",
    )


def unsafe(path: Path, target: str, call: str) -> ModelError:
    """A checkpoint that holds more than tensors and plain values."""
    program = (
        "import sys, torch; f = sys.argv[1]; "
        "torch.save({'state_dict': torch.load(f, weights_only=False)['state_dict']}, f)"
    )
    return ModelError(
        "E433", f"the weights of `{target}` are not read: {path.name} calls `{call}` when it is read",
        help=f'where you trust it, leave only its weights in it: `python -c "{program}" {path}`',
    )  # fmt: skip
