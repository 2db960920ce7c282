"""What a run tells while it goes on; progress bars, logs and reports are listeners."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins."""

    recipe: str
    rows: int | None
    tasks: int
    store: str = ""


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A task of the plan begins; `rows` and `tokens` are what it will compute, stored answers not counted."""

    task: str
    title: str
    rows: int
    tokens: int | None = None
    cached: int = 0


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """How far a task is since it started."""

    task: str
    rows: int
    tokens: int
    seconds: float
    dollars: float = 0.0


@dataclass(frozen=True, slots=True)
class TaskDone:
    """A task is complete; `cached` rows came from the store and `failed` rows have no answer."""

    task: str
    rows: int
    tokens: int
    seconds: float
    cached: int = 0
    failed: int = 0
    dollars: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelLoaded:
    """A model is in memory and ready."""

    label: str
    seconds: float
    dtype: str
    device: str
    engine: str = ""


@dataclass(frozen=True, slots=True)
class RowsDropped:
    """A step left out rows, and why."""

    step: str
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something went on that the user should know of."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class RunDone:
    """A run is complete."""

    rows: int
    kept: int
    sweeps: int
    tokens: int
    seconds: float
    dollars: float = 0.0
    outputs: tuple[str, ...] = ()


Event: TypeAlias = (
    RunStarted | TaskStarted | TaskProgress | TaskDone | ModelLoaded | RowsDropped | Warned | RunDone
)
Listener: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """A listener that does not listen."""


def to_all(listeners: Iterable[Listener]) -> Listener:
    """A listener that passes each event on, in order."""
    targets = tuple(listeners)

    def tell(event: Event) -> None:
        for target in targets:
            target(event)

    return tell


def to_json(event: Event) -> dict[str, Any]:
    """The event as a flat mapping: its kind under `event`, then its fields."""
    return {"event": kind(event), **dataclasses.asdict(event)}


def kind(event: Event) -> str:
    """The event's name in logs: `task_progress`."""
    name = type(event).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


class JsonLog:
    """A listener that appends one JSON line per event to a file, readable while the run goes on."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115

    def __call__(self, event: Event) -> None:
        line = {"time": round(time.time(), 3), **to_json(event)}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """The file is complete; later events are an error."""
        self._file.close()

    def __enter__(self) -> JsonLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
