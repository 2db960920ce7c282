"""Models as a run uses them: where their files are, what identifies them, and the one that is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .models import LoadedModel
    from .store import Store


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model's files and its identity; small enough to travel to workers."""

    target: str
    """A local folder, a hub id with an optional revision, or a name that selrun makes itself."""
    identity: str
    """Revision or weights hash, or the key of what it was trained from; never a path."""
    label: str = ""
    adapter: str | None = None
    """The folder of a LoRA adapter to merge into it."""


_resident: tuple[tuple[str, ...], LoadedModel] | None = None


def resident(source: ModelSource, dtype: str | None, device: str) -> tuple[LoadedModel, bool]:
    """The loaded model and whether it was loaded just now; one model stays in memory per process."""
    global _resident
    from .models import load

    wanted = (source.identity, str(dtype), device)
    if _resident and _resident[0] == wanted:
        return _resident[1], False
    _resident = None
    loaded = load(source.target, dtype=dtype, device=device, adapter=source.adapter)
    _resident = (wanted, loaded)
    return loaded, True


def forget() -> None:
    """Lets go of the loaded model, so that another one has its memory."""
    global _resident
    _resident = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What the store remembers of weights, as `models.identity` asks it."""

    store: Store

    def get(self, key: str) -> object | None:
        return self.store.memo("weights", key)

    def put(self, key: str, value: object) -> None:
        self.store.remember("weights", key, value)
