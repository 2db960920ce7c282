"""Fixtures that every folder of tests may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# Times belong into benchmarks: on a busy machine a test may take as long as it likes.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data and tiny models that may lie beside the repository."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the reference data is not beside the repository")
    return folder


@pytest.fixture(scope="session")
def tasks() -> Path:
    """The example dataset."""
    return ROOT / "examples" / "tasks.jsonl"


@pytest.fixture
def tmp_store(tmp_path: Path) -> Path:
    """A store of the test's own."""
    return tmp_path / "store"
