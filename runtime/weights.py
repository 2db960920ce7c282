"""The files that hold a model's weights: which of them are read, how many numbers they hold, and which are refused.

Safetensors come first. Pickled weights are read by torch's unpickler for weights, which builds tensors and calls
nothing else; a file that asks for more is refused.
"""

from __future__ import annotations

import json
import math
import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ModelError

SAFE, PICKLED = "*.safetensors", "pytorch_model*.bin"
BESIDE = frozenset({"head.safetensors", "adapter_model.safetensors"})
"""Safetensors that lie beside a model's weights and are not those."""
OTHERS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.gguf")
CALLS = re.compile(r"GLOBAL (\S+)|instantiate '?(?:<class ')?([\w.]+)")
"""How torch names what a pickle asks for besides tensors."""


def has_safetensors(folder: Path) -> bool:
    """Whether safetensors hold the model under the name that transformers gives them."""
    return any(folder.glob(f"model{SAFE}"))


def weight_files(folder: Path) -> list[Path]:
    """The safetensors of a folder, and its pickled weights where the model is not among them."""
    pickled = [] if has_safetensors(folder) else sorted(folder.glob(PICKLED))
    return [*sorted(folder.glob(SAFE)), *pickled]


def own_weights(folder: Path) -> list[Path]:
    """The files that hold the model itself: all pickled, or all safetensors."""
    files = weight_files(folder)
    pickled = [path for path in files if path.suffix == ".bin"]
    return pickled or [path for path in files if path.name not in BESIDE]


def is_pickled(folder: Path, target: str) -> bool:
    """Whether the model's weights are read from pickles. Raises ModelError E433 where it has none."""
    own = own_weights(folder)
    if not own:
        raise no_weights(folder, target)
    return own[0].suffix == ".bin"


def no_weights(folder: Path, target: str) -> ModelError:
    """A folder with none of the files that weights are read from."""
    others = sorted(path.name for pattern in OTHERS for path in folder.glob(pattern))
    fact = f"`{target}` has no weights: neither safetensors nor pytorch_model.bin"
    if not others:
        help = "copy or fetch it whole: `hf download ORG/NAME` takes the weights too"
        return ModelError("E433", fact, help=help)
    help = "load the model where you trust its files and call `save_pretrained`, which writes safetensors"
    return ModelError("E433", f"{fact}; {others[0]} is not read", help=help)


def called_by(error: BaseException) -> str | None:
    """What a refused pickle would have called; `None` where it is damaged."""
    match = CALLS.search(str(error))
    return match and (match.group(1) or match.group(2))


def unsafe(folder: Path, target: str, call: str) -> ModelError:
    """Pickled weights that hold more than tensors."""
    files = own_weights(folder)
    return ModelError(
        "E433", f"the weights of `{target}` are not read: {files[0].name} calls `{call}` when it is read",
        help=f"where you trust it, write it as safetensors: {conversion(files)}",
    )  # fmt: skip


def conversion(files: list[Path]) -> str:
    """The command that writes pickled weights as safetensors."""
    program = (
        "import sys, torch, safetensors.torch as s; "
        "[s.save_file({k: v.clone().contiguous() for k, v in torch.load(f, weights_only=False).items() "
        "if torch.is_tensor(v)}, f.replace('pytorch_model', 'model').replace('.bin', '.safetensors'), "
        "{'format': 'pt'}) for f in sys.argv[1:]]"
    )
    return f'`python -c "{program}" {" ".join(map(str, files))}`'


# How many numbers there are


def parameter_count(folder: Path) -> int | None:
    """The number of weights, from the heads of their files; `None` without one."""
    return sum(map(numbers_in, weight_files(folder))) or None


def numbers_in(path: Path) -> int:
    """How many numbers a file of weights holds; 0 where it does not say so in its head."""
    if path.suffix == ".bin":
        return sum(storages(path).values())
    return sum(math.prod(entry["shape"]) for entry in tensors(path))


def tensors(path: Path) -> Iterator[dict[str, Any]]:
    """What the head of a safetensors file says of each tensor."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            head = json.loads(file.read(min(size, 100_000_000)))
    except (OSError, ValueError):
        return
    yield from (entry for name, entry in head.items() if name != "__metadata__")


def storages(path: Path) -> dict[str, int]:
    """How many numbers each storage of a zipped pickle has, by its name; empty where it cannot be told."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as file:
                outline = Outline(file)
                outline.load()
    except (OSError, StopIteration, zipfile.BadZipFile, pickle.UnpicklingError, EOFError, ValueError):
        return {}
    return outline.found


class Inert(dict[Any, Any]):
    """What stands for everything that a pickle asks for: it does nothing."""

    def __init__(self, *_: object):
        super().__init__()

    def __setstate__(self, state: object) -> None:
        """Nothing is kept."""

    def append(self, value: object) -> None:
        """Nothing is kept."""


class Outline(pickle.Unpickler):
    """A pickle read for the sizes of its storages alone; no class of it is looked up."""

    def __init__(self, file: Any):
        super().__init__(file)
        self.found: dict[str, int] = {}

    def find_class(self, module_name: str, global_name: str, /) -> type[Inert]:
        return Inert

    def persistent_load(self, pid: Any) -> Inert:
        _, _, key, _, size = pid
        self.found[str(key)] = int(size)
        return Inert()
