"""peft adapters from a folder: what identifies one, and a model with one merged into its weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelError

if TYPE_CHECKING:
    import torch

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def adapter_identity(folder: Path) -> str:
    """A hash of the adapter's weights and settings; where it lies and what its base was called are left out.

    Raises ModelError E455 where the folder holds no adapter in safetensors.
    """
    _check(folder)
    settings = _settings(folder)
    settings.pop("base_model_name_or_path", None)
    with open(folder / WEIGHTS, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()[:32]


def merge_adapter(base_target: str, adapter: Path, folder: Path, *, dtype: torch.dtype) -> None:
    """The folder holds the base with the adapter added to its weights, and loads like any other model.

    Raises ModelError E455 (no adapter) and E456 (it belongs to another base).
    """
    import torch
    from peft import PeftModel

    from .models import load
    from .train import save
    from .train_watch import undisturbed

    _check(adapter)
    with undisturbed(torch.device("cpu")):
        loaded = load(base_target, dtype=dtype, device="cpu")
        try:
            merged = PeftModel.from_pretrained(
                loaded.model, str(adapter), torch_device="cpu"
            ).merge_and_unload()
        except (ValueError, RuntimeError) as error:
            raise _foreign(adapter, base_target, error) from error
        save(merged, loaded.tokenizer, dtype, folder)


def _check(folder: Path) -> None:
    missing = [name for name in (SETTINGS, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        pickled = (folder / "adapter_model.bin").is_file()
        raise ModelError(
            "E455",
            f"`{folder}` holds no adapter: `{missing[0]}` is not there",
            notes=("`adapter_model.bin` can run code when it is read, so it is not",) if pickled else (),
            help="name a folder that peft wrote with `save_pretrained`, with weights as safetensors",
        )


def _settings(folder: Path) -> dict[str, object]:
    try:
        return json.loads((folder / SETTINGS).read_text("utf-8"))
    except ValueError as error:
        raise ModelError(
            "E455",
            f"`{folder / SETTINGS}` is no JSON",
            help="write the adapter again with peft's `save_pretrained`",
        ) from error


def _foreign(adapter: Path, base: str, error: Exception) -> ModelError:
    first = str(error).strip().splitlines()
    trained_on = _settings(adapter).get("base_model_name_or_path")
    return ModelError(
        "E456",
        f"the adapter `{adapter}` does not fit the model {base}",
        notes=tuple(line.strip() for line in first[:2]),
        help=f"use it on the model it was trained on: `{trained_on}`"
        if trained_on
        else "name the right model",
    )
