"""Small facts that later runs need not find out again: weight hashes, pilot timings, cluster fits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from . import durable


class Memos:
    """JSON values by kind and key; a damaged or foreign file is as if it were not there."""

    def __init__(self, root: Path):
        self._root = root

    def recall(self, kind: str, key: str) -> Any | None:
        """What was remembered, if anything."""
        try:
            kept = json.loads(self._path(kind, key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return kept.get("value") if isinstance(kept, dict) and kept.get("key") == key else None

    def remember(self, kind: str, key: str, value: Any) -> None:
        """The value replaces what was remembered under the key."""
        target = self._path(kind, key)
        durable.make_folder(target.parent)
        durable.write_whole(target, json.dumps({"key": key, "value": value}, ensure_ascii=False).encode())

    def _path(self, kind: str, key: str) -> Path:
        return self._root / kind / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
