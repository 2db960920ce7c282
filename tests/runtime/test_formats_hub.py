"""Hub datasets come through the hub's own library; a local copy needs no network."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from selrun.errors import DataError
from selrun.runtime.formats.hub import hub_rows
from selrun.runtime.rows import read_rows

ROWS = [
    {"instruction": "Add", "input": "1 2", "output": "3"},
    {"instruction": "Hi", "input": "", "output": "Hello"},
]


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local copy of a hub dataset with two splits."""
    datasets = pytest.importorskip("datasets", reason="the extra `hub` is not installed")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "copy"
    folder.mkdir()
    for split, rows in (("train", ROWS), ("test", ROWS[:1])):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_split_of_a_local_copy_is_read(copy: Path):
    assert (
        read_rows(hub_rows(str(copy), "train")).frame.select("instruction", "input", "output").to_dicts()
        == ROWS
    )
    assert hub_rows(str(copy), "test").height == 1


def test_an_unknown_split_is_said_with_those_that_exist(copy: Path):
    with pytest.raises(DataError) as caught:
        hub_rows(str(copy), "dev")
    assert caught.value.code == "E509"
    assert "train" in " ".join(caught.value.notes)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError) as caught:
        hub_rows("org/name")
    assert "selrun[hub]" in caught.value.help[0]
