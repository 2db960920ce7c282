"""Lets the tests of this folder import what they share; they run a model on one thread."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the hub: what matches the patterns is fetched from there."""
    from huggingface_hub.utils import filter_repo_objects

    def fetch(name: str, *, allow_patterns: list[str], **_: object) -> str:
        there, here = tmp_path / "there" / name, tmp_path / "here" / name
        names = [path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()]
        for file in filter_repo_objects(names, allow_patterns=allow_patterns):
            (here / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(there / file, here / file)
        return str(here)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    return tmp_path / "there"
