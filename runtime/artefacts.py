"""Folders that a run made and later runs use whole: trained models, adapters, fits."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import durable
from .events import Listener, Warned, ignore

RECORD = "artefact.json"


@dataclass(frozen=True, slots=True)
class Artefact:
    """A published folder and what its maker said of it."""

    kind: str
    key: str
    meta: dict[str, Any]
    path: Path
    bytes: int
    made: float


class Artefacts:
    """Folders by kind and key, published by one rename; the first to publish wins."""

    def __init__(self, root: Path, listen: Listener = ignore):
        self._root = root
        self._listen = listen

    def find(self, kind: str, key: str) -> Path | None:
        """The folder, if it was published and its files still have the sizes recorded then."""
        folder = self._root / kind / key
        record = _record(folder)
        if record is None or _sizes(folder) != {name: size for name, (size, _) in record["files"].items()}:
            return self._set_aside(folder)
        return folder

    def publish(self, kind: str, key: str, fill: Callable[[Path], None], meta: dict[str, Any]) -> Path:
        """The folder with what `fill` put into it, or with what another run published first."""
        if present := self.find(kind, key):
            return present
        target = self._root / kind / key

        def fill_and_record(draft: Path) -> None:
            fill(draft)
            _write_record(draft, meta)

        durable.publish_folder(target, fill_and_record)
        return target

    def all(self, kind: str | None = None) -> list[Artefact]:
        """Every published artefact, or those of one kind."""
        kinds = [kind] if kind else sorted(path.name for path in self._root.glob("[!.]*") if path.is_dir())
        return [found for each in kinds for found in self._of_kind(each)]

    def remove(self, kind: str, key: str) -> int:
        """The bytes freed by removing one artefact."""
        return durable.remove(self._root / kind / key)

    def verify(self) -> list[Path]:
        """The damaged artefacts, now set aside, after reading every byte."""
        damaged = [each.path for each in self.all() if not _is_sound(each.path)]
        for path in damaged:
            self._set_aside(path)
        return damaged

    def _of_kind(self, kind: str) -> list[Artefact]:
        folders = sorted(path for path in (self._root / kind).glob("[!.]*") if path.is_dir())
        records = ((folder, _record(folder)) for folder in folders if folder.suffix != ".damaged")
        return [
            Artefact(kind, folder.name, record["meta"], folder, durable.size_of(folder), record["made"])
            for folder, record in records
            if record
        ]

    def _set_aside(self, folder: Path) -> None:
        if not folder.is_dir():
            return
        try:
            folder.rename(folder.with_name(f"{folder.name}.{time.time_ns():x}.damaged"))
        except FileNotFoundError:
            return
        except OSError as error:
            raise durable.unwritable(folder, error) from error
        self._listen(Warned("W610", f"a stored {folder.parent.name} is damaged and made again: {folder}"))


def _write_record(folder: Path, meta: dict[str, Any]) -> None:
    files = {name: (size, durable.checksum(folder / name)) for name, size in _sizes(folder).items()}
    record = {"meta": meta, "made": time.time(), "files": files}
    (folder / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")


def _record(folder: Path) -> dict[str, Any] | None:
    try:
        return json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _sizes(folder: Path) -> dict[str, int]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != RECORD)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(files)}


def _is_sound(folder: Path) -> bool:
    record = _record(folder)
    return record is not None and all(
        (folder / name).is_file() and durable.checksum(folder / name) == value
        for name, (_, value) in record["files"].items()
    )
