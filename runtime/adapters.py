"""peft adapters from a folder, and what identifies one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..errors import ModelError

SETTINGS, WEIGHTS = "adapter_config.json", ("adapter_model.safetensors", "adapter_model.bin")
"""The weights are those of the first file that is there; from a pickled one only tensors are taken."""


def adapter_identity(folder: Path) -> str:
    """A hash of the adapter's weights and settings; where it lies and what its base was called are left out.

    Raises ModelError E455 where the folder holds no adapter.
    """
    weights = weights_file(folder)
    settings = _settings(folder)
    settings.pop("base_model_name_or_path", None)
    with open(weights, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()[:32]


def weights_file(folder: Path) -> Path:
    """The file with the adapter's weights. Raises ModelError E455 where it or the settings are not there."""
    there = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    missing = [] if (folder / SETTINGS).is_file() else [SETTINGS]
    missing += [] if there else [WEIGHTS[0]]
    if missing:
        raise ModelError(
            "E455",
            f"`{folder}` holds no adapter: `{missing[0]}` is not there",
            help="name a folder that peft wrote with `save_pretrained`",
        )
    return there[0]


def _settings(folder: Path) -> dict[str, object]:
    try:
        return json.loads((folder / SETTINGS).read_text("utf-8"))
    except ValueError as error:
        raise ModelError(
            "E455",
            f"`{folder / SETTINGS}` is no JSON",
            help="write the adapter again with peft's `save_pretrained`",
        ) from error
