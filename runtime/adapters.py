"""peft adapters from a folder, and what identifies one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..errors import ModelError

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
